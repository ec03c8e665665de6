"""The inputs that determine the results of a run: they are stored, so that runs of other settings never mix."""

from collections.abc import Mapping
from typing import Any

from dfal_cli import __version__
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.steps.option import settings_of
from dfal_cli.steps.simulate.inputs import Inputs
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.system.fingerprints import fingerprint, sha256_of

CHANGE_TEXTS = {
    "device": "on {0}, not {1}",
    "torch": "with torch {0}, not {1}",
    "scikit-learn": "with scikit-learn {0}, not {1}",
    "dfal": "with dfal {0}, not {1}",
    "code": "with other code of the network",
    "weights": "with other weights of the network (--weights)",
    "labels": "from other labels (--labels)",
    "test": "from another test set (--test)",
    "images": "from other images, or before some of them changed (--images)",
    "embeddings": "from other embeddings (--embeddings)",
}
"""Descriptions of changed inputs, for messages: {0} is the value before, {1} the value now."""


def run_inputs(
    options: SimulateOptions, inputs: Inputs, device: str, made_with: Mapping[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """What determines the results of a run, ready for JSON.

    device: the kind of device. made_with: what depends on the kind of the simulation, by its names in CHANGE_TEXTS.
    """
    return {
        "settings": settings_of(options),
        "device": device,
        "dfal": __version__,
        "labels": [sha256_of(path) for path in options.labels] or [_fingerprint_of_labels(inputs)],
        "test": [sha256_of(path) for path in options.test],
        **made_with,
    }


def _fingerprint_of_labels(inputs: Inputs) -> str:
    return fingerprint(list(inputs.oracle[IMAGE]), list(inputs.oracle[LABEL]))

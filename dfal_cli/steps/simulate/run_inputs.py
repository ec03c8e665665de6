"""The inputs that determine the results of a run: they are stored, so that runs of other settings never mix."""

import importlib.metadata
from typing import Any

from dfal_cli import __version__
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.steps.option import settings_of
from dfal_cli.steps.simulate.inputs import Inputs
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.system.fingerprints import fingerprint, sha256_of
from dfal_cli.training.architecture import code_sha256

CHANGE_TEXTS = {
    "device": "on {0}, not {1}",
    "torch": "with torch {0}, not {1}",
    "dfal": "with dfal {0}, not {1}",
    "code": "with other code of the network",
    "labels": "from other labels (--labels)",
    "test": "from another test set (--test)",
    "images": "from other images, or before some of them changed (--images)",
}
"""Descriptions of changed inputs, for messages: {0} is the value before, {1} the value now."""


def run_inputs(options: SimulateOptions, inputs: Inputs, device: str, contents: str) -> dict[str, Any]:
    """What determines the results of a run, ready for JSON.

    device: the kind of device. contents: the digest of all images.
    """
    return {
        "settings": settings_of(options),
        "device": device,
        "torch": importlib.metadata.version("torch"),
        "dfal": __version__,
        "code": [code_sha256(name) for name in (options.arch, options.train_arch)],
        "labels": [sha256_of(path) for path in options.labels] or [_fingerprint_of_labels(inputs)],
        "test": [sha256_of(path) for path in options.test],
        "images": contents,
    }


def _fingerprint_of_labels(inputs: Inputs) -> str:
    return fingerprint(list(inputs.oracle[IMAGE]), list(inputs.oracle[LABEL]))

"""The inputs of a checkpoint: they tell whether an existing one is up to date, and otherwise what has changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfal_cli import __version__
from dfal_cli.system.fingerprints import sha256_of
from dfal_cli.training.architecture import code_sha256

CHANGE_TEXTS = {
    "labels": "with other --labels, or with other versions of their images or twins",
    "validation": "with another --validation, or with other versions of its images",
    "test": "with another --test, or with other versions of its images",
    "pseudo_labels": "with other --pseudo-labels, or with other versions of their images",
    "trained_on": "from {0}, not from {1}",
    "backbone": "with embeddings of another backbone",
    "init": "with another --init",
    "weights": "with other --weights",
    "code": "with other code of the network",
    "dfal": "with dfal {0}, not {1}",
}
"""How a message says that an input differs from that of an existing checkpoint; {0}: its value then, {1}: now."""


def checkpoint_inputs(
    settings: Mapping[str, Any],
    contents: Mapping[str, str],
    initial_weights: Mapping[str, Path | None],
    architecture: str | None,
    trained_on: str = "images",
    backbone: str = "",
) -> dict[str, Any]:
    """Return everything that determines the contents of a checkpoint, ready for JSON.

    Files count by their contents, not by path or modification time, so that equal inputs give equal bytes anywhere.
    settings: options that shape the checkpoint. contents: digests of the label sets. initial_weights: the files of
    --init and --weights. architecture: the network, whose code counts if it is the user's own. trained_on: "images" or
    "embeddings". backbone: identifies the backbone of a head, as far as it is known.
    """
    return {
        "settings": dict(settings),
        **contents,
        **{name: sha256_of(path) if path else "" for name, path in initial_weights.items()},
        "trained_on": trained_on,
        "backbone": backbone,
        "code": code_sha256(architecture),
        "dfal": __version__,
    }

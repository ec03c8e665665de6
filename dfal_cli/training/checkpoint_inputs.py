"""What a checkpoint is made from: whether it is there already, and if not, what was different."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfal_cli import __version__
from dfal_cli.models.architecture import code_sha256
from dfal_cli.system.fingerprints import sha256_of

CHANGE_TEXTS = {
    "labels": "from other --labels, or before an image or a twin of theirs was changed",
    "validation": "from another --validation, or before an image of it was changed",
    "test": "from another --test, or before an image of it was changed",
    "pseudo_labels": "from other --pseudo-labels, or before an image of theirs was changed",
    "init": "from another --init",
    "weights": "from other --weights",
    "code": "with other code of the network",
    "dfal": "with dfal {0}, not {1}",
}
"""How to say that a part is not what it was."""


def checkpoint_inputs(
    settings: Mapping[str, Any],
    contents: Mapping[str, str],
    starts: Mapping[str, Path | None],
    architecture: str | None,
) -> dict[str, Any]:
    """All that shapes a checkpoint, ready for JSON.

    Of every file that is read the contents, not the modification time, so that equal inputs give equal bytes wherever
    they lie. `contents`: of the label sets; `starts`: the files of --init and --weights.
    """
    return {
        "settings": dict(settings),
        **contents,
        **{name: sha256_of(path) if path else "" for name, path in starts.items()},
        "code": code_sha256(architecture),
        "dfal": __version__,
    }

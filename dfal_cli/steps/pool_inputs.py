"""The inputs that determine a table of the pool, such as scores: whether an existing one was made from the same."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dfal_cli import __version__
from dfal_cli.errors import DataError, UsageError
from dfal_cli.images import ImageSource
from dfal_cli.steps.option import settings_of
from dfal_cli.system.differences import describe_changes, provenance
from dfal_cli.system.fingerprints import fingerprint, sha256_of
from dfal_cli.system.reporting import Reporter

CHANGE_TEXTS = {
    "space": "in {0} space",
    "checkpoint": "from another checkpoint",
    "code": "with other code of the network",
    "embeddings": "from other embeddings",
    "images": "from another list of images, or before some of them changed",
    "labelled": "from other labelled images, or before some of them changed",
    "calibrate": "with another --calibrate, or before some of its images changed",
    "dfal": "with dfal {0}, not {1}",
}
"""Descriptions of changed inputs, for messages: {0} is the value before, {1} the value now."""

TOUCHED = "touched (renamed, copied, moved or linked)"
"""Changes of a file that only the exact digests show. Linking counts, because it changes the ctime."""

UNFINISHED_CHANGE_TEXTS = CHANGE_TEXTS | {
    "images": f"{CHANGE_TEXTS['images']} or were {TOUCHED}",
    "labelled": f"{CHANGE_TEXTS['labelled']} or were {TOUCHED}",
}
"""Descriptions for unfinished calls, which are compared by the exact digests."""

LASTING, EXACT = "lasting", "exact"
"""Digests of the states of image files, which are not read. Lasting: paths, sizes and modification times, which a copy
may preserve (`cp -p`, `rsync -a`). Exact: the rest of the state, which shows that a file was replaced by a similar one.
"""


class Options(Protocol):
    """The options that every such command has."""

    @property
    def checkpoint(self) -> Path:
        """The checkpoint."""

    @property
    def out(self) -> Path:
        """The table."""

    @property
    def force(self) -> bool:
        """Whether a table made from other inputs may be overwritten."""


class Kind(NamedTuple):
    """A kind of table."""

    called: str
    """For messages: "a scores file"."""
    read_metadata: Callable[[Path], Mapping[str, Any]]
    """Raises DataError if a file is not of this kind."""
    is_whole: Callable[[Path], bool]
    """Whether the file and those beside it are from the same call: a kill may leave one of them older."""
    again: str
    """What is done if images were touched: "scoring them again"."""


def common_inputs(options: Options, space: str) -> dict[str, Any]:
    """What determines the table in either space, ready for JSON. Other inputs are added by their names above."""
    return {
        "settings": settings_of(options),
        "space": space,
        "checkpoint": sha256_of(options.checkpoint),
        "dfal": __version__,
    }


def images_digests(images: ImageSource, names: Sequence[str]) -> dict[str, str]:
    """Digests of image files by their states: a pool is large to read."""
    lasting, exact = hashlib.sha256(), hashlib.sha256()
    for name in names:
        state = images.file_state(name) or ()
        lasting.update(f"{(name, *state[:2])!r}\n".encode())
        exact.update(f"{state[2:]!r}\n".encode())
    return {LASTING: lasting.hexdigest(), EXACT: exact.hexdigest()}


def inputs_metadata(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of the table about its inputs; only `files` changes if the images are copied."""
    exact = {part: value[EXACT] for part, value in inputs.items() if _is_digest(value)}
    return {**provenance(_lasting(inputs)), "files": fingerprint(exact)}


def _lasting(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs without the exact digests."""
    return {part: value[LASTING] if _is_digest(value) else value for part, value in inputs.items()}


def _is_digest(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {LASTING, EXACT}


def is_up_to_date(options: Options, kind: Kind, inputs: Mapping[str, Any], reporter: Reporter) -> bool:
    """Whether the output already is the table of these inputs.

    If image files were touched, they may be other images of the same size and time, so they are read again.
    Raises UsageError if the output was made from other inputs.
    """
    out = options.out
    if not out.exists() or options.force:
        return False
    try:
        before = kind.read_metadata(out)
    except DataError:
        raise UsageError(
            f"{out}: exists and is not {kind.called}; choose another --out, or use --force to overwrite it"
        ) from None
    now = inputs_metadata(inputs)
    if before.get("made_from") != now["made_from"]:
        change = describe_changes(before, _lasting(inputs), CHANGE_TEXTS)
        raise UsageError(f"{out}: exists, and was made {change}; choose another --out, or use --force to overwrite it")
    if before.get("files") != now["files"]:
        reporter.note(f"{out}: image files have been {TOUCHED} since; {kind.again}")
        return False
    return kind.is_whole(out)

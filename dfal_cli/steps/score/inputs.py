"""The inputs that determine the scores: whether existing scores were made from the same."""

from collections.abc import Mapping
from typing import Any

from dfal_cli import __version__
from dfal_cli.errors import DataError, UsageError
from dfal_cli.steps.option import settings_of
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.differences import describe_changes, provenance
from dfal_cli.system.fingerprints import fingerprint, sha256_of
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import labelled_embeddings_match, metadata_matches_rows, read_scores_metadata

CHANGE_TEXTS = {
    "space": "in {0} space",
    "checkpoint": "from another checkpoint",
    "code": "with other code of the network",
    "embeddings": "from other embeddings",
    "images": "from another list of images, or before some of them changed",
    "labelled": "from other labelled images, or before some of them changed",
    "dfal": "with dfal {0}, not {1}",
}
"""Descriptions of changed inputs, for messages: {0} is the value before, {1} the value now."""

TOUCHED = "touched (renamed, copied, moved or linked)"
"""Changes of a file that only the exact digests show. Linking counts, because it changes the ctime."""

LASTING, EXACT = "lasting", "exact"
"""Digests of the states of image files, which are not read. Lasting: paths, sizes and modification times, which a copy
may preserve (`cp -p`, `rsync -a`). Exact: the rest of the state, which shows that a file was replaced by a similar one.
"""


def common_inputs(options: ScoreOptions, space: str) -> dict[str, Any]:
    """What determines the scores in either space, ready for JSON. Other inputs are added by their names above."""
    return {
        "settings": settings_of(options),
        "space": space,
        "checkpoint": sha256_of(options.checkpoint),
        "dfal": __version__,
    }


def inputs_metadata(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of the scores about their inputs; only `files` changes if the images are copied."""
    exact = {part: value[EXACT] for part, value in inputs.items() if _is_digest(value)}
    return {**provenance(_lasting(inputs)), "files": fingerprint(exact)}


def _lasting(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs without the exact digests."""
    return {part: value[LASTING] if _is_digest(value) else value for part, value in inputs.items()}


def _is_digest(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {LASTING, EXACT}


def is_up_to_date(options: ScoreOptions, inputs: Mapping[str, Any], reporter: Reporter) -> bool:
    """Whether the output already holds these scores.

    If image files were touched, they may be other images of the same size and time, so the scores are computed again.
    Raises UsageError if the output was made from other inputs.
    """
    if not options.out.exists() or options.force:
        return False
    try:
        before = read_scores_metadata(options.out)
    except DataError:
        raise UsageError(
            f"{options.out}: exists and is not a scores file; choose another --out, or use --force to overwrite it"
        ) from None
    now = inputs_metadata(inputs)
    if before.get("made_from") != now["made_from"]:
        change = describe_changes(before, _lasting(inputs), CHANGE_TEXTS)
        raise UsageError(
            f"{options.out}: exists, and was made {change}; choose another --out, or use --force to overwrite it"
        )
    if before.get("files") != now["files"]:
        reporter.note(f"{options.out}: image files have been {TOUCHED} since; scoring them again")
        return False
    return metadata_matches_rows(options.out) and labelled_embeddings_match(options.out)

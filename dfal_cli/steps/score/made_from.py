"""What scores are made from: whether they stand there already, and whether an unfinished call was the same."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from dfal_cli import __version__
from dfal_cli.checkpoint import trusted_architecture
from dfal_cli.errors import DataError, UsageError
from dfal_cli.images import ImageSource
from dfal_cli.models.architecture import code_sha256
from dfal_cli.steps.option import settings_of
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.differences import describe_changes, provenance
from dfal_cli.system.fingerprints import fingerprint, sha256_of
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import labelled_embeddings_match, metadata_matches_rows, read_scores_metadata

CHANGE_TEXTS = {
    "checkpoint": "from another checkpoint",
    "code": "with other code of the network",
    "images": "from another list of images, or before one was changed",
    "labelled": "from other labelled images, or before one was changed",
    "dfal": "with dfal {0}, not {1}",
}
"""How to say that a part is not what it was."""

TOUCHED = "touched (renamed, copied, moved or linked)"
"""What changes the exact digests alone; a link more or less to a file changes when its state changed."""

UNFINISHED_CHANGE_TEXTS = CHANGE_TEXTS | {
    "images": f"{CHANGE_TEXTS['images']} or {TOUCHED}",
    "labelled": f"{CHANGE_TEXTS['labelled']} or {TOUCHED}",
}
"""The same of parts of a call, which are compared exactly."""

IMAGE_FILES = ("images", "labelled")
LASTING, EXACT = "lasting", "exact"
"""Digests of image files that are not read. Lasting: of paths, sizes and times of modification, which a copy may keep
(`cp -p`, `rsync -a`). Exact: of the rest of their state, which shows that a file has taken the place of one like it."""


def made_from(
    options: ScoreOptions, images: ImageSource, pool: Sequence[str], labelled: Sequence[str]
) -> dict[str, Any]:
    """All that shapes the scores, ready for JSON. Of the images, their state: a pool is too large to be read twice.

    Raises UsageError if the network is code that is not trusted, DataError if the checkpoint is none.
    """
    network = trusted_architecture(
        options.checkpoint, trust_code=options.trust_code, architecture=options.arch, option="--checkpoint"
    )
    return {
        "settings": settings_of(options),
        "checkpoint": sha256_of(options.checkpoint),
        "code": code_sha256(network),
        "images": _digests(images, pool),
        "labelled": _digests(images, labelled),
        "dfal": __version__,
    }


def metadata_of(shaped_by: Mapping[str, Any]) -> dict[str, Any]:
    """What the metadata of scores tell of it: its origin, and `files`, which alone changes where images are copied."""
    exact = {part: shaped_by[part][EXACT] for part in IMAGE_FILES}
    return {**provenance(_lasting(shaped_by)), "files": fingerprint(exact)}


def _lasting(shaped_by: Mapping[str, Any]) -> dict[str, Any]:
    """The same but for what a copy of the images changes."""
    return {**shaped_by, **{part: shaped_by[part][LASTING] for part in IMAGE_FILES}}


def is_up_to_date(options: ScoreOptions, shaped_by: Mapping[str, Any], reporter: Reporter) -> bool:
    """Whether the scores stand there already.

    Scores of images that may be others by now are to be made anew: images that keep size and time when they are renamed
    or copied. Raises UsageError if scores made from something else are there.
    """
    if not options.out.exists() or options.force:
        return False
    try:
        metadata = read_scores_metadata(options.out)
    except DataError:
        raise UsageError(
            f"{options.out}: exists and is not a scores file; choose another --out, or --force to replace it"
        ) from None
    told = metadata_of(shaped_by)
    if metadata.get("made_from") != told["made_from"]:
        how = describe_changes(metadata, _lasting(shaped_by), CHANGE_TEXTS)
        raise UsageError(f"{options.out}: exists, and was made {how}; choose another --out, or --force to replace it")
    if metadata.get("files") != told["files"]:
        reporter.note(f"{options.out}: files of images have been {TOUCHED} since; scoring them again")
        return False
    return metadata_matches_rows(options.out) and labelled_embeddings_match(options.out)


def _digests(images: ImageSource, names: Sequence[str]) -> dict[str, str]:
    lasting, exact = hashlib.sha256(), hashlib.sha256()
    for name in names:
        state = images.file_state(name) or ()
        lasting.update(f"{(name, *state[:2])!r}\n".encode())
        exact.update(f"{state[2:]!r}\n".encode())
    return {LASTING: lasting.hexdigest(), EXACT: exact.hexdigest()}

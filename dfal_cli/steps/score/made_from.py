"""What scores are made from: whether they stand there already, and whether an unfinished call was the same."""

from collections.abc import Sequence
from typing import Any

from dfal_cli import __version__
from dfal_cli.architecture import code_of
from dfal_cli.checkpoint import trusted_architecture
from dfal_cli.differences import how_else, origin
from dfal_cli.errors import DataError, UsageError
from dfal_cli.files import digest_of_many, settings_of, sha256_of
from dfal_cli.images import ImageSource
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.tables import belong_together, belongs_to_scores, read_scores_metadata

WITHOUT_EFFECT = (
    "out", "device", "workers", "cache", "cache_limit", "batch_size", "wait", "force", "trust_code",
    "max_unreadable",
)  # fmt: skip
"""Options that do not shape the scores."""

OTHERWISE = {
    "checkpoint": "from another checkpoint",
    "code": "with other code of the network",
    "images": "from another list of images, or before one was changed",
    "labelled": "from other labelled images, or before one was changed",
    "dfal": "with dfal {0}, not {1}",
}
"""How to say that a part is not what it was."""


def settings_that_shape(options: ScoreOptions) -> dict[str, Any]:
    """The options that shape the scores, less the files they are made from."""
    return settings_of(options, without=(*WITHOUT_EFFECT, "images", "checkpoint", "labels", "exclude"))


def made_from(
    options: ScoreOptions, images: ImageSource, pool: Sequence[str], labelled: Sequence[str]
) -> dict[str, Any]:
    """All that shapes the scores. Of the images, path, size and time: a pool is too large to be read twice.

    Raises UsageError if the network is code that is not trusted, DataError if the checkpoint is none.
    """
    network = trusted_architecture(
        options.checkpoint, trust_code=options.trust_code, architecture=options.arch, option="--checkpoint"
    )
    return {
        "settings": settings_that_shape(options),
        "checkpoint": sha256_of(options.checkpoint),
        "code": code_of(network),
        "images": digest_of_many((image, *images.state_of(image)) for image in pool),
        "labelled": digest_of_many((image, *images.state_of(image)) for image in labelled),
        "dfal": __version__,
    }


def is_up_to_date(options: ScoreOptions, shaped_by: dict[str, Any]) -> bool:
    """Whether the scores stand there already. Raises UsageError if others, not made from this, do."""
    if not options.out.exists() or options.force:
        return False
    try:
        metadata = read_scores_metadata(options.out)
    except DataError:
        raise UsageError(
            f"{options.out}: exists and is not a scores file; choose another --out, or --force to replace it"
        ) from None
    if metadata.get("made_from") != origin(shaped_by)["made_from"]:
        how = how_else(metadata, shaped_by, OTHERWISE)
        raise UsageError(f"{options.out}: exists, and was made {how}; choose another --out, or --force to replace it")
    return belong_together(options.out) and belongs_to_scores(options.out)

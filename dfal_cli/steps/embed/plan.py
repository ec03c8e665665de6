"""Which embeddings of an earlier call are still valid, and which images are still to be embedded."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dfal_cli.errors import UsageError
from dfal_cli.models.backbone_file import holds_backbone
from dfal_cli.schemas import BACKBONE_SUFFIX
from dfal_cli.steps.embed.inputs import read_earlier
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.steps.embed.rows import CurrentImages
from dfal_cli.system.files import beside
from dfal_cli.system.fingerprints import digest_of_many
from dfal_cli.system.paths import relative_to_file
from dfal_cli.tables.embeddings import read_states


class Plan(NamedTuple):
    """What an output needs to become complete."""

    metadata: dict[str, Any] | None
    """Those of the existing output, if its rows can be used."""
    unchanged: int
    """Number of images whose rows stay."""
    changed: int
    """Number of images whose rows are replaced."""
    gone: int
    """Number of rows whose images are gone."""
    todo: list[str]
    """Images without a valid row, sorted."""


def make_plan(options: EmbedOptions, inputs: dict[str, Any], current: CurrentImages) -> Plan:
    """Compare the existing output with the images.

    Raises UsageError if it was made from other inputs, or if none of its images is there: this is another folder.
    """
    metadata = read_earlier(options, inputs)
    if metadata is None:
        return Plan(None, 0, 0, 0, current.listing.images)
    stored = there = 0
    stays = np.zeros(len(current.listing.images), bool)
    for names, states in read_states(options.out):
        rows = current.rows_of(names)
        stays[rows[current.unchanged(names, states)]] = True
        stored += len(names)
        there += int((rows >= 0).sum())
    if stored and not there:
        raise UsageError(
            f"{options.out}: none of its {stored} images is under {options.images}; check --images, choose "
            "another --out, or use --force to replace all embeddings"
        )
    unchanged = int(stays.sum())
    todo = [current.listing.images[row] for row in np.flatnonzero(~stays).tolist()]
    return Plan(metadata, unchanged, there - unchanged, stored - there, todo)


def is_up_to_date(options: EmbedOptions, plan: Plan, current: CurrentImages) -> bool:
    """Return whether the only images without a row are those that could not be read before."""
    return (
        plan.metadata is not None
        and plan.metadata.get("image_root") == relative_to_file(options.images, options.out)
        and not (plan.changed or plan.gone)
        and plan.metadata.get("unreadable") == unreadable_digest(plan.todo, current)
        and holds_backbone(beside(options.out, BACKBONE_SUFFIX), plan.metadata)
    )


def unreadable_digest(images: Sequence[str], current: CurrentImages) -> str:
    """Return a digest of unreadable images, sorted by path, and of the states of their files."""
    states = zip(images, current.states_of(images).tolist(), strict=True)
    return digest_of_many([*states, *current.listing.unreadable])

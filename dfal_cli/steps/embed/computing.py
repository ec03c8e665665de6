"""Embeds the images without a valid row, resuming from the parts of unfinished calls."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dfal_cli.errors import plural
from dfal_cli.images import ImageSource, MaxValues, common_white
from dfal_cli.models.backbones import Backbone
from dfal_cli.models.embedding import embed_images
from dfal_cli.steps.embed.inputs import CHANGE_TEXTS
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.steps.embed.rows import CurrentImages, embedded_in, part_of
from dfal_cli.system.device import first_batch_size
from dfal_cli.system.parts import Parts, Section
from dfal_cli.system.reporting import Reporter

WHITES_OF_TYPES = (1.0, 65_535.0)
"""White of floats, and of integers of more than 8 bits, without --white."""


class Work(NamedTuple):
    """What a call has computed."""

    sections: list[Section]
    """Rows of this call and of unfinished ones; the images of each section are sorted."""
    embedded: int
    """Number of images in them."""
    unreadable: list[tuple[str, str]]
    """Path and reason, sorted by path."""
    batch_size: int


def compute(
    options: EmbedOptions,
    backbone: Backbone,
    source: ImageSource,
    images: Sequence[str],
    current: CurrentImages,
    parts: Parts,
    inputs: dict[str, Any],
    reporter: Reporter,
) -> Work:
    """Embed the images that are not in the parts yet. inputs: those of the parts."""
    earlier = [section for section in parts.sections if section.name.startswith(backbone.weights_sha256)]
    resumed = set(itertools.chain.from_iterable(embedded_in(section, current) for section in earlier))
    todo = [image for image in images if image not in resumed]
    device, shape = backbone.model.mean.device, backbone.input_format.shape
    batches = parts.fitting_batches(options.batch_size, first_batch_size(device, shape), reporter)
    reporter.note(
        f"embedding {len(images)} of {len(current.listing.images)} images with {backbone.name} "
        f"({shape[2]}x{shape[1]}, {backbone.input_format.resize.how}) on {device.type}, batch {batches.size}"
    )
    if resumed:
        reporter.note(f"resuming after {len(resumed)} of {len(images)} images")
    parts.report_discarded("embeddings", inputs, CHANGE_TEXTS, reporter)
    section = parts.section(f"{backbone.weights_sha256}-{len(earlier):06d}")
    unreadable: list[tuple[str, str]] = []
    max_values: list[MaxValues] = []
    at = 0
    with reporter.progress("embedding", len(images), "images", len(images) - len(todo)) as progress:
        for batch in embed_images(backbone, source, todo, batches, options.workers):
            found = part_of(batch.images, current.states_of(batch.images), batch.vectors)
            section.add(at, at + batch.requested, found)
            at += batch.requested
            unreadable += batch.unreadable
            max_values.append(batch.max_values)
            progress.advance(batch.requested)
    _warn_of_white(np.concatenate([np.empty(0), *max_values]), options.white, reporter)
    embedded = len(images) - len(unreadable)
    return Work([*earlier, section], embedded, sorted(unreadable), batches.size)


def _warn_of_white(max_values: MaxValues, white: float | None, reporter: Reporter) -> None:
    """Warn about images of more than 8 bits that are much too dark, or clipped."""
    if white is not None:
        if clipped := int((max_values > white).sum()):
            have = plural(clipped, "image has", "images have")
            reporter.warn(f"{clipped} {have} values above {white:g} (--white): these values are clipped")
    elif len(max_values) and (common := common_white(max_values)) not in WHITES_OF_TYPES:
        have = plural(len(max_values), "image has", "images have")
        reporter.warn(
            f"{len(max_values)} {have} more than 8 bits, scaled by the maximum of their type; "
            f"their values suggest --white {common:g}"
        )

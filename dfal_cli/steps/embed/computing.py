"""Embeds the images without a valid row, resuming from the parts of unfinished calls."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from dfal_cli.errors import DataError, plural, shown
from dfal_cli.images import ImageSource, MaxValues, common_white
from dfal_cli.models.backbones import Backbone, load_backbone
from dfal_cli.models.embedding import NOT_FINITE, EmbeddedBatch, embed_images
from dfal_cli.steps.embed.inputs import CHANGE_TEXTS
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.steps.embed.rows import CurrentImages, embedded_in, part_of
from dfal_cli.system.crew import Crew, Task, Work, tasks_of, with_results
from dfal_cli.system.device import FittingBatches, first_batch_size
from dfal_cli.system.parts import Parts, Section
from dfal_cli.system.reporting import Reporter

EMBED = "embed"
"""The name of the only work."""

WHITES_OF_TYPES = (1.0, 65_535.0)
"""White of floats, and of integers of more than 8 bits, without --white."""


class Computed(NamedTuple):
    """What a call has computed."""

    sections: list[Section]
    """Rows of this call and of unfinished ones; the images of each section are sorted."""
    embedded: int
    """Number of images in them."""
    unread: list[tuple[str, str]]
    """Path and reason of each image that cannot be read, sorted by path."""
    not_finite: list[str]
    """Images whose embedding is not finite, sorted."""
    batch_size: int

    @property
    def without_embedding(self) -> list[tuple[str, str]]:
        """Path and reason of each of both kinds of images, sorted by path."""
        return sorted([*self.unread, *((image, NOT_FINITE) for image in self.not_finite)])


def compute(
    options: EmbedOptions,
    backbone: Backbone,
    source: ImageSource,
    images: Sequence[str],
    current: CurrentImages,
    parts: Parts,
    inputs: dict[str, Any],
    crew: Crew,
    reporter: Reporter,
) -> Computed:
    """Embed the images that are not in the parts yet. inputs: those of the parts."""
    earlier = [section for section in parts.sections if section.name.startswith(backbone.weights_sha256)]
    resumed = set(itertools.chain.from_iterable(embedded_in(section, current) for section in earlier))
    todo = [image for image in images if image not in resumed]
    device, shape = backbone.model.mean.device, backbone.input_format.shape
    batches = parts.fitting_batches(options.batch_size, first_batch_size(device, shape), reporter)
    size = f"({shape[2]}x{shape[1]}, {backbone.input_format.resize.how}) on {device.type}, batch {batches.size}"
    what = f"embedding {len(images)} of {len(current.listing.images)} images with {backbone.name} {size}"
    reporter.note(what if images else f"no image is new or has changed; updating {options.out}")
    if resumed:
        reporter.note(f"resuming after {len(resumed)} of {len(images)} images")
    parts.report_discarded("embeddings", inputs, CHANGE_TEXTS, reporter)
    section = parts.section(f"{backbone.weights_sha256}-{len(earlier):06d}")
    failed: list[tuple[str, str]] = []
    not_finite: list[str] = []
    max_values: list[MaxValues] = []
    seen = 0
    each = crew.start(
        {EMBED: embed_work(options, backbone, source, batches)},
        {"backbone": backbone.name, "weights": backbone.weights_sha256, "sizes": batches.sizes},
    )
    with reporter.progress("embedding", len(images), "images", len(images) - len(todo)) as progress:
        for task, batch in each(EMBED, tasks_of(todo, batches.read)):
            section.add(task.start, task.end, part_of(batch.images, current.states_of(batch.images), batch.vectors))
            seen += len(task.images)
            failed += batch.unreadable
            not_finite += batch.not_finite
            if len(not_finite) > options.max_unreadable * current.total:
                raise DataError(
                    f"{not_finite_in_words(backbone, sorted(not_finite), seen)}; use other weights or another backbone"
                )
            max_values.append(batch.max_values)
            progress.advance(len(task.images))
    _warn_of_white(np.concatenate([np.empty(0), *max_values]), options.white, reporter)
    unread = sorted({*failed} - {(image, NOT_FINITE) for image in not_finite})
    return Computed([*earlier, section], len(images) - len(failed), unread, sorted(not_finite), batches.size)


def load(options: EmbedOptions, name: str, device: torch.device) -> Backbone:
    """Load the backbone of this name with the options."""
    return load_backbone(
        name,
        options.weights,
        pretrained=options.pretrained,
        image_size=options.image_size,
        resize=options.resize,
        white=options.white,
        device=device,
    )


def embed_work(options: EmbedOptions, backbone: Backbone, source: ImageSource, batches: FittingBatches) -> Work:
    """The work of a process."""

    def embed(tasks: Iterable[Task]) -> Iterator[tuple[Task, EmbeddedBatch]]:
        def stream(images: Iterable[Sequence[str]]) -> Iterator[EmbeddedBatch]:
            return embed_images(backbone, source, images, batches, options.workers)

        return with_results(tasks, stream)

    return embed


def not_finite_in_words(backbone: Backbone, images: Sequence[str], total: int) -> str:
    """Return a sentence on images whose embedding is not finite, out of `total`."""
    return (
        f"--backbone {backbone.name}: gives values that are not finite for {len(images)} of {total} images, "
        f"the first: {shown(images[0])}"
    )


def _warn_of_white(max_values: MaxValues, white: float | None, reporter: Reporter) -> None:
    """Warn about images of more than 8 bits that are much too dark, or clipped."""
    if white is not None:
        if clipped := int((max_values > white).sum()):
            have = plural(clipped, "image has", "images have")
            reporter.warn(f"{clipped} {have} values above {white:g} (--white): these values are clipped")
    elif len(max_values) and (common := common_white(max_values)) not in WHITES_OF_TYPES:
        count = len(max_values)
        have = plural(count, "image has", "images have")
        scaled, their = plural(count, "is scaled", "are scaled"), plural(count, "its", "their")
        reporter.warn(
            f"{count} {have} more than 8 bits and {scaled} by the maximum of {their} type; "
            f"{their} values suggest --white {common:g}"
        )

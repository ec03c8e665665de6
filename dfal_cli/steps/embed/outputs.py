"""The outputs of embed: the embeddings, the weights of the backbone, the list of unreadable images and the summary."""

from typing import Any

from dfal_cli import __version__
from dfal_cli.models.backbone_file import save_backbone
from dfal_cli.models.backbones import Backbone
from dfal_cli.models.embedding import NOT_FINITE
from dfal_cli.schemas import BACKBONE_SUFFIX
from dfal_cli.steps.embed.computing import Computed, not_finite_in_words
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.steps.embed.plan import Plan, unreadable_digest
from dfal_cli.steps.embed.rows import CurrentImages, merged
from dfal_cli.steps.result import Result
from dfal_cli.steps.unreadable import report_unreadable
from dfal_cli.system.differences import provenance
from dfal_cli.system.files import beside
from dfal_cli.system.paths import relative_to_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.embeddings import write_embeddings


def write_outputs(
    options: EmbedOptions,
    inputs: dict[str, Any],
    backbone: Backbone,
    plan: Plan,
    work: Computed,
    current: CurrentImages,
    reporter: Reporter,
) -> Result:
    """Write all outputs. Raises OSError."""
    metadata = {
        **provenance(inputs),
        **backbone.metadata,
        "image_root": relative_to_file(options.images, options.out),
        "follow_links": options.follow_links,
        "unreadable": unreadable_digest([image for image, _ in work.without_embedding], current),
        "dfal": __version__,
    }
    unread = [*current.listing.unreadable, *work.unread]
    others = [(image, NOT_FINITE) for image in work.not_finite]
    listing = report_unreadable(options.out, unread, current.total, reporter, others)
    if work.not_finite:
        reporter.warn(f"{not_finite_in_words(backbone, work.not_finite, current.total)} (see {listing[0]})")
    weights = beside(options.out, BACKBONE_SUFFIX)
    with reporter.busy("writing the embeddings"):
        save_backbone(weights, backbone)
        rows = merged(options.out if plan.metadata else None, work.sections, current)
        write_embeddings(options.out, rows, metadata)
    counts = {
        "images": plan.unchanged + work.embedded,
        "embedded": work.embedded,
        "unchanged": plan.unchanged,
        "gone": plan.gone,
        "unreadable": len(unread),
        "not_finite": len(work.not_finite),
    }
    details = {
        "device": backbone.model.mean.device.type,
        "batch_size": work.batch_size,
        "backbone": backbone.name,
        "dimension": backbone.dimension,
    }
    return Result([options.out, weights, *listing], _summary(counts, backbone), counts, details)


def _summary(counts: dict[str, int], backbone: Backbone) -> str:
    embedded = f"{counts['embedded']} embedded ({backbone.name}, {backbone.dimension} values each)"
    others = ("unchanged", "gone", "unreadable", "not_finite")
    return ", ".join([embedded, *(f"{counts[name]} {name.replace('_', ' ')}" for name in others if counts[name])])

"""embed: compute the embedding of every image, once."""

from pathlib import Path
from typing import Any

import torch

from dfal_cli.errors import DataError
from dfal_cli.images import ImageSource, open_images
from dfal_cli.images.pool import find_pool, report_skipped
from dfal_cli.steps.embed.checks import COMPANIONS, check
from dfal_cli.steps.embed.computing import compute, load
from dfal_cli.steps.embed.inputs import embed_inputs, made_otherwise
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.steps.embed.outputs import write_outputs
from dfal_cli.steps.embed.plan import Plan, is_up_to_date, make_plan
from dfal_cli.steps.embed.rows import CurrentImages
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.unreadable import stop_if_too_many
from dfal_cli.system.crew import ALONE, Crew
from dfal_cli.system.device import choose_device
from dfal_cli.system.files import beside, check_writable, locked
from dfal_cli.system.parts import Parts
from dfal_cli.system.reporting import Reporter


def embed(options: EmbedOptions, reporter: Reporter, images: ImageSource | None = None, crew: Crew = ALONE) -> Result:
    """Embed the images that are new or have changed, and write one row per image.

    `images` replace the folder `options.images`, if given. An interrupted call keeps its finished part, from which the
    next call resumes. crew: the processes that embed images.
    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    device = choose_device(options.device)
    with (
        open_images(
            images, options.images, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
        ) as source,
        locked(options.out, options.wait, reporter.note, may_be_complete=True),
    ):
        inputs = embed_inputs(options)
        with reporter.busy("listing the images"):
            current = CurrentImages(find_pool(source, [], [], reporter).listing, source)
            plan = make_plan(options, inputs, current)
        with Parts(options.out, inputs) as parts:
            if is_up_to_date(options, plan, current):
                companions = [beside(options.out, suffix) for suffix in COMPANIONS]
                result = up_to_date([options.out, *filter(Path.exists, companions)], {"images": plan.unchanged})
            else:
                check_writable(options.out)
                result = _embed(options, inputs, plan, source, current, parts, device, crew, reporter)
        parts.remove()
        return result


def _embed(
    options: EmbedOptions,
    inputs: dict[str, Any],
    plan: Plan,
    source: ImageSource,
    current: CurrentImages,
    parts: Parts,
    device: torch.device,
    crew: Crew,
    reporter: Reporter,
) -> Result:
    unlisted, listed = current.listing.unreadable, current.listing.images
    stop_if_too_many(options.out, unlisted, current.total, options.max_unreadable)
    skipped = report_skipped(current.listing.skipped, reporter)
    with reporter.busy("loading the backbone"):
        backbone = load(options, inputs["settings"]["backbone"], device)
    if plan.metadata and plan.metadata.get("weights_sha256") != backbone.weights_sha256:
        raise made_otherwise(options, f"with other weights of {backbone.name}")
    work = compute(options, backbone, source, plan.todo, current, parts, inputs, crew, reporter)
    stop_if_too_many(options.out, [*unlisted, *work.unread], current.total, options.max_unreadable)
    if len(work.without_embedding) == len(listed):
        raise DataError(f"{options.images}: no image can be read, the first because: {work.without_embedding[0][1]}")
    result = write_outputs(options, inputs, backbone, plan, work, current, reporter)
    return Result(result.outputs, result.summary, result.counts | skipped, result.details)

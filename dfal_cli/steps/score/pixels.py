"""score --images: margins of images in pixel space, estimated through the whole network."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from dfal_cli.checkpoint import LoadedNetwork, trusted_architecture
from dfal_cli.errors import plural
from dfal_cli.images import DecodedBatch, ImageSource, open_images
from dfal_cli.images.pool import Pool, draw_candidates, find_pool, report_skipped
from dfal_cli.schemas import EMBEDDING, PIXEL_SPACE
from dfal_cli.scoring.judging import warn_unless_learnt
from dfal_cli.scoring.nearest import Audit, resolve_ties, walk_nearest
from dfal_cli.scoring.reading import warn_of_pixels
from dfal_cli.scoring.rows import Indices, Rows
from dfal_cli.scoring.sanity import PROBED, probe_network
from dfal_cli.scoring.scored import PoolMargins, embed_labelled, score_all, tables_of
from dfal_cli.scoring.works import EMBED_LABELLED, SCORE, TWINS_OF
from dfal_cli.steps.pool_inputs import common_inputs, images_digests, inputs_metadata, is_up_to_date
from dfal_cli.steps.pool_network import classifying, load_network
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.score.inputs import SCORES
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.score.outputs import (
    OPTIONAL_OUTPUTS,
    check_outputs_writable,
    companions,
    count_outcomes,
    details_of,
    locked_outputs,
    metadata_of_scores,
    save_twins,
    summary_of,
)
from dfal_cli.steps.score.preparation import new_works, report_resuming
from dfal_cli.steps.unreadable import report_unreadable, stop_if_too_many
from dfal_cli.system.crew import Crew, Each, tasks_of
from dfal_cli.system.device import FittingBatches, choose_device, first_batch_size
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.parts import Parts, Section
from dfal_cli.system.paths import relative_to_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import labelled_path, write_labelled_embeddings, write_scores
from dfal_cli.tables.vectors import Values
from dfal_cli.training.architecture import code_sha256


def score_pixels(
    options: ScoreOptions, root: ImageRoot, reporter: Reporter, images: ImageSource | None, crew: Crew
) -> Result:
    """Score the images of the pool under `root`; `images` replace the folder, if given.

    An interrupted call keeps its finished part, from which the same call resumes.
    """
    device = choose_device(options.device)
    with (
        open_images(
            images, root, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
        ) as source,
        locked_outputs(options, reporter),
    ):
        with reporter.busy("listing the images"):
            found = find_pool(source, options.labels, options.exclude, reporter)
            if EMBEDDING not in options.measure:
                found = found._replace(labelled=[])
            inputs = scores_inputs(options, source, found.listing.images, found.labelled)
        with Parts(options.out, inputs) as parts:
            if is_up_to_date(options, SCORES, inputs, reporter):
                result = up_to_date([options.out, *filter(Path.exists, companions(options.out, OPTIONAL_OUTPUTS))])
            else:
                check_outputs_writable(options)
                pool, unlisted = found.listing.images, found.listing.unreadable
                stop_if_too_many(options.out, unlisted, len(pool) + len(unlisted), options.max_unreadable)
                network = load_network(options, device, inputs["checkpoint"])
                with classifying(network):
                    result = _score_pool(options, network, source, found, inputs, parts, crew, reporter)
        parts.remove()
        return result


def scores_inputs(
    options: ScoreOptions, images: ImageSource, pool: Sequence[str], labelled: Sequence[str]
) -> dict[str, Any]:
    """What determines the scores, ready for JSON. Images count by the state of their files: a pool is large to read.

    Raises UsageError if the network is code that is not trusted, DataError if the checkpoint is invalid.
    """
    network = trusted_architecture(
        options.checkpoint, trust_code=options.trust_code, architecture=options.arch, option="--checkpoint"
    )
    return {
        **common_inputs(options, PIXEL_SPACE),
        "code": code_sha256(network),
        "images": images_digests(images, pool),
        "labelled": images_digests(images, labelled),
    }


def _score_pool(
    options: ScoreOptions,
    network: LoadedNetwork,
    source: ImageSource,
    found: Pool,
    inputs: dict[str, Any],
    parts: Parts,
    crew: Crew,
    reporter: Reporter,
) -> Result:
    """Score the candidates, resuming from the parts, and write all outputs."""
    pool, unlisted, _ = found.listing
    skipped = report_skipped(found.listing.skipped, reporter)
    candidates = draw_candidates(pool, options.candidates, options.seed)
    first_size = first_batch_size(network.device, network.input_shape)
    batches = parts.fitting_batches(options.batch_size, first_size, reporter)
    device = network.device.type
    reporter.note(f"scoring {len(candidates)} of {len(pool)} pool images on {device}, batch {batches.size}")
    report_resuming(parts, inputs, len(candidates), reporter)
    works, measures = new_works(options, network, source, batches, reporter)
    first = source.batches([candidates[:PROBED]], network.input_format, options.workers)
    _check_network(network, first, batches, reporter)
    each = crew.start(works, {"checkpoint": network.sha256, "sizes": batches.sizes})
    section, size = parts.section("pool"), batches.read
    score = partial(each, SCORE, with_margins=options.nearest is None, first=candidates[:size])
    rows, failed = score_all(candidates, size, section, score, reporter)
    stop_if_too_many(options.out, failed, len(candidates), options.max_unreadable)
    warn_of_pixels(rows.max_values, network.input_format.white, rows.flat, len(rows), reporter)
    margins = PoolMargins(each, size, rows, parts.section("margins"), reporter)
    audit = _complete_margins(options, margins)
    lost = margins.lost
    save_twins(options, rows, partial(_twins_of, rows, each, size, lost, reporter), reporter)
    unreadable = [*unlisted, *failed, *lost.items()]
    outputs = report_unreadable(options.out, unreadable, len(candidates) + len(unlisted), reporter)
    made_from = inputs_metadata(inputs)
    outputs += _write_labelled(options, found.labelled, each, size, parts.section("labelled"), made_from, reporter)
    of_space = _metadata_of_pixels(options, network, source, audit, with_labelled=bool(found.labelled))
    metadata = metadata_of_scores(options, network, made_from, of_space)
    with reporter.busy("writing the scores"):
        write_scores(options.out, tables_of(rows, network.classes, section, measures), metadata)
    outcomes = count_outcomes(rows, network, reporter, may_be_skipped=options.nearest is not None)
    measured = {"scored": len(rows), **outcomes, "unreadable": len(unreadable), "twins": len(rows.twins)}
    counts = {"pool": len(pool), **found.counts, **measured}
    details = details_of(PIXEL_SPACE, rows) | {"device": device, "batch_size": batches.size}
    details["audit"] = audit and asdict(audit)
    summary = summary_of(options, PIXEL_SPACE, rows, counts) + _audit_in_words(audit, options.nearest)
    return Result([options.out, *outputs], summary, counts | skipped, details)


def _write_labelled(
    options: ScoreOptions, labelled: Sequence[str], each: Each, size: int, section: Section,
    made_from: dict[str, Any], reporter: Reporter,
) -> list[Path]:  # fmt: skip
    """Write the embeddings of labelled images beside the scores; return the files written."""
    if not labelled:
        labelled_path(options.out).unlink(missing_ok=True)
        return []
    embedded = embed_labelled(labelled, size, section, partial(each, EMBED_LABELLED, first=labelled[:size]), reporter)
    return [write_labelled_embeddings(options.out, *embedded, made_from["made_from"])]


def _check_network(
    network: LoadedNetwork, images: Iterable[DecodedBatch], batches: FittingBatches, reporter: Reporter
) -> None:
    """Warn if the network has not learnt, or if its margins would mean little."""
    warn_unless_learnt(network.metadata, reporter)
    for batch in images:
        probe_network(network, batch.pixels, batches, reporter)


def _complete_margins(options: ScoreOptions, margins: PoolMargins) -> Audit | None:
    """With --nearest, compute the smallest margins. Compute margins that nearly tie again, in float64."""
    audit = walk_nearest(margins, options.nearest, options.seed) if options.nearest else None
    resolve_ties(margins, options.nearest)
    return audit


def _audit_in_words(audit: Audit | None, nearest: int | None) -> str:
    """The result of the audit, for the end of the summary; "" without one."""
    if audit is None or not audit.audited:
        return ""
    words = (
        f"; an audit of {audit.audited} skipped {plural(audit.audited, 'image')} found none of the {nearest} nearest"
    )
    if audit.missed:
        words += f" ({audit.missed} found by earlier audits are now included)"
    if audit.missing_at_most < (nearest or 0):
        words += f": at most {audit.missing_at_most} may be missing (95 % confidence)"
    return words


def _twins_of(
    rows: Rows, each: Each, size: int, lost: dict[str, str], reporter: Reporter, nearest: Indices
) -> Iterator[tuple[int, Values]]:
    """Yield those of the rows that have a twin, with the twin, (C, H, W). Adds images that are unreadable to `lost`."""
    row_of = {rows.images[row]: row for row in nearest.tolist()}
    with reporter.progress("computing twins", len(row_of), "images") as progress:
        for task, found in each(TWINS_OF, tasks_of(list(row_of), size)):
            lost |= dict(found.unreadable)
            for image, twin in found.twins:
                yield row_of[image], twin
            progress.advance(len(task.images))


def _metadata_of_pixels(
    options: ScoreOptions, network: LoadedNetwork, source: ImageSource, audit: Audit | None, *, with_labelled: bool
) -> dict[str, Any]:
    return {
        "space": PIXEL_SPACE,
        "image_root": relative_to_file(source.root, options.out),
        "follow_links": options.follow_links,
        "input_shape": network.input_shape,
        "white": network.input_format.white,
        "resize": network.input_format.resize._asdict(),
        "estimator": options.estimator,
        "nearest": options.nearest,
        "audit": audit and asdict(audit),
        "labelled_embeddings": with_labelled,
    }

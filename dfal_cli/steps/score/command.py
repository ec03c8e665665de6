"""score: compute margins and other measures for every image of the pool."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dfal_cli.checkpoint import LoadedNetwork, load_checkpoint
from dfal_cli.errors import TryAgainError
from dfal_cli.images import DecodedBatch, ImageSource, open_images, scale_warnings
from dfal_cli.images.pool import Pool, draw_candidates, find_pool, report_skipped
from dfal_cli.models import fast_pooling
from dfal_cli.schemas import EMBEDDING, LABELLED_SUFFIX, META_SUFFIX, UNREADABLE_SUFFIX
from dfal_cli.scoring.judging import warn_unless_learnt
from dfal_cli.scoring.nearest import Audit, resolve_ties, walk_nearest
from dfal_cli.scoring.rows import Rows
from dfal_cli.scoring.sanity import PROBED, probe_network
from dfal_cli.scoring.scored import PoolMargins, embed_labelled, score_all, tables_of
from dfal_cli.scoring.scorer import Scorer
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.score.checks import check
from dfal_cli.steps.score.inputs import inputs_metadata, is_up_to_date, scores_inputs
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.score.outputs import (
    count_outcomes,
    metadata_of_scores,
    report_unreadable,
    save_twins,
    stop_if_too_many,
    summary_of,
)
from dfal_cli.steps.score.preparation import choose_batches, new_measures, new_scorer, report_resuming
from dfal_cli.system.device import FittingBatches, choose_device, full_precision
from dfal_cli.system.files import beside, locked
from dfal_cli.system.parts import Parts
from dfal_cli.system.paths import check_paths
from dfal_cli.system.reporting import Reporter, Silent
from dfal_cli.tables import labelled_path, refuse_foreign_files, write_labelled_embeddings, write_scores
from dfal_cli.tables.twins import locked_twins

OPTIONAL_OUTPUTS = (UNREADABLE_SUFFIX, LABELLED_SUFFIX)
"""Suffixes of the outputs beside the scores that are written only if they have contents."""


def score(options: ScoreOptions, reporter: Reporter, images: ImageSource | None = None) -> Result:
    """Score the pool and write one row per image, and with --twins the twins of the nearest images.

    `images` replace the folder `options.images`, if given. An interrupted call keeps its finished part, from which the
    same call resumes.
    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    companions = OPTIONAL_OUTPUTS if options.out.suffix.lower() != ".csv" else (META_SUFFIX, *OPTIONAL_OUTPUTS)
    check_paths(
        {"--checkpoint": [options.checkpoint], "--labels": options.labels, "--exclude": options.exclude},
        {"--out": [options.out, *_beside(options.out, companions)], "--twins-dir": [options.twins_dir]},
    )
    if not options.force:
        refuse_foreign_files(options.out, companions)
    device = choose_device(options.device)
    with (
        open_images(
            images, options.images, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
        ) as source,
        locked(options.out, options.wait, reporter.note),
        locked_twins(options.out, options.twins_dir, options.wait, reporter.note)
        if options.twins
        else contextlib.nullcontext(),
    ):
        with reporter.busy("listing the images"):
            found = find_pool(source, options.labels, options.exclude, reporter.warn)
            if EMBEDDING not in options.measure:
                found = found._replace(labelled=[])
            inputs = scores_inputs(options, source, found.listing.images, found.labelled)
        with Parts(options.out, inputs) as parts:
            if is_up_to_date(options, inputs, reporter):
                result = up_to_date([options.out, *filter(Path.exists, _beside(options.out, OPTIONAL_OUTPUTS))])
            else:
                pool, unlisted = found.listing.images, found.listing.unreadable
                stop_if_too_many(options, unlisted, len(pool) + len(unlisted))
                network = load_checkpoint(
                    options.checkpoint, device, trust_code=options.trust_code, architecture=options.arch
                )
                if network.sha256 != inputs["checkpoint"]:
                    raise TryAgainError(f"{options.checkpoint}: has just been replaced; run the same command again")
                with full_precision(), fast_pooling(network.model):
                    result = _score_pool(options, network, source, found, inputs, parts, reporter)
        parts.remove()
        return result


def _score_pool(
    options: ScoreOptions,
    network: LoadedNetwork,
    source: ImageSource,
    found: Pool,
    inputs: dict[str, Any],
    parts: Parts,
    reporter: Reporter,
) -> Result:
    """Score the candidates, resuming from the parts, and write all outputs."""
    pool, unlisted, _ = found.listing
    skipped = report_skipped(found.listing.skipped, reporter)
    candidates = draw_candidates(pool, options.candidates, options.seed)
    batches = choose_batches(options, network, parts, reporter)
    device = network.device.type
    reporter.note(f"scoring {len(candidates)} of {len(pool)} pool images on {device}, batch {batches.size}")
    report_resuming(parts, inputs, len(candidates), reporter)
    scorer = new_scorer(options, network, source, batches, reporter)
    measures = new_measures(options, options.measure, network, batches, reporter)
    first = source.batches(candidates[:PROBED], network.input_format, PROBED, options.workers)
    _check_network(network, first, batches, reporter)
    section = parts.section("pool")
    rows, failed = score_all(scorer, candidates, section, with_margins=options.nearest is None, extra=measures)
    stop_if_too_many(options, failed, len(candidates))
    for warning in scale_warnings(rows.max_values, network.input_format.white):
        reporter.warn(warning)
    audit = _complete_margins(options, scorer, rows, parts)
    save_twins(options, scorer, rows, reporter)
    unreadable = [*unlisted, *failed, *scorer.lost.items()]
    outputs = report_unreadable(options, unreadable, len(candidates) + len(unlisted), reporter)
    metadata = inputs_metadata(inputs)
    if found.labelled:
        embedding = new_measures(options, [EMBEDDING], network, batches, Silent())  # the pool has warned already
        embedded = embed_labelled(scorer, found.labelled, parts.section("labelled"), embedding)
        outputs.append(write_labelled_embeddings(options.out, *embedded, metadata["made_from"]))
    else:
        labelled_path(options.out).unlink(missing_ok=True)
    metadata = metadata_of_scores(options, network, metadata, audit, with_labelled=bool(found.labelled))
    with reporter.busy("writing the scores"):
        write_scores(options.out, tables_of(rows, network.classes, section, measures), metadata)
    outcomes = count_outcomes(rows, network, reporter, may_be_skipped=options.nearest is not None)
    reasons = rows.uncrossed_because()
    measured = {"scored": len(rows), **outcomes, "unreadable": len(unreadable), "twins": len(rows.twins)}
    counts = {"pool": len(pool), **found.counts, **measured}
    details = {"device": device, "batch_size": batches.size, "audit": audit and asdict(audit)}
    details["uncrossed_because"] = dict(reasons)
    summary = summary_of(counts, reasons, audit, options.nearest)
    return Result([options.out, *outputs], summary, counts | skipped, details)


def _check_network(
    network: LoadedNetwork, images: Iterable[DecodedBatch], batches: FittingBatches, reporter: Reporter
) -> None:
    """Warn if the network has not learnt, or if its margins would mean little."""
    warn_unless_learnt(network.metadata, reporter)
    for batch in images:
        probe_network(network, batch.pixels, batches, reporter)


def _complete_margins(options: ScoreOptions, scorer: Scorer, rows: Rows, parts: Parts) -> Audit | None:
    """With --nearest, compute the smallest margins. Compute margins that nearly tie again, in float64."""
    margins = PoolMargins(scorer, rows, parts.section("margins"))
    audit = walk_nearest(margins, options.nearest, options.seed) if options.nearest else None
    resolve_ties(margins, options.nearest)
    return audit


def _beside(out: Path, suffixes: Sequence[str]) -> list[Path]:
    return [beside(out, suffix) for suffix in suffixes]

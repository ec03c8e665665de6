"""score: measures of every image in the pool, the margin first of all."""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dfal_cli.checkpoint import LoadedNetwork, load_checkpoint
from dfal_cli.errors import TryAgainError
from dfal_cli.images import ImageSource, open_images, scale_warnings
from dfal_cli.images.pool import Pool, draw_candidates, find_pool, report_skipped
from dfal_cli.models import fast_pooling
from dfal_cli.schemas import (
    EMBEDDING,
    LABELLED_SUFFIX,
    META_SUFFIX,
    UNREADABLE_SUFFIX,
)
from dfal_cli.scoring.nearest import Audit, resolve_ties, walk_nearest
from dfal_cli.scoring.parts import Parts
from dfal_cli.scoring.rows import Rows
from dfal_cli.scoring.sanity import PROBED, probe_network, warn_unless_learnt
from dfal_cli.scoring.scored import PoolMargins, embed_labelled, score_all, tables_of
from dfal_cli.scoring.scorer import Scorer
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.score.checks import check
from dfal_cli.steps.score.made_from import is_up_to_date, made_from, metadata_of
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.score.outcome import judged_outcomes, metadata_of_scores, summary_of
from dfal_cli.steps.score.prepared import fitting_batches, measuring_of, say_what_is_kept, scorer_of
from dfal_cli.steps.score.unreadable import report_unreadable, stop_if_too_many
from dfal_cli.system.device import choose_device, full_precision
from dfal_cli.system.files import beside, locked
from dfal_cli.system.paths import check_paths
from dfal_cli.system.reporting import Reporter, Silent
from dfal_cli.tables import labelled_path, refuse_foreign_files, write_labelled_embeddings, write_scores
from dfal_cli.tables.twins import TwinStore, locked_twins

FURTHER = (UNREADABLE_SUFFIX, LABELLED_SUFFIX)
"""Outputs that stand beside the scores, if there is something to say in them."""


def score(options: ScoreOptions, reporter: Reporter, images: ImageSource | None = None) -> Result:
    """Score the pool and write one row per image, and the twins of the nearest ones if asked for.

    `images` stand in for the folder `options.images`. What is finished when the call ends before its time is kept in
    parts, and the next identical call goes on from them.

    Raises UsageError, DataError or TryAgainError as the command documents.
    """
    check(options)
    companions = FURTHER if options.out.suffix.lower() != ".csv" else (META_SUFFIX, *FURTHER)
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
            shaped_by = made_from(options, source, found.listing.images, found.labelled)
        with Parts(options.out, shaped_by) as parts:
            if is_up_to_date(options, shaped_by, reporter):
                result = up_to_date([options.out, *filter(Path.exists, _beside(options.out, FURTHER))])
            else:
                pool, unlisted = found.listing.images, found.listing.unreadable
                stop_if_too_many(options.out, unlisted, len(pool) + len(unlisted), options.max_unreadable)
                network = load_checkpoint(
                    options.checkpoint, device, trust_code=options.trust_code, architecture=options.arch
                )
                if network.sha256 != shaped_by["checkpoint"]:
                    raise TryAgainError(f"{options.checkpoint}: has just been replaced; run the same command again")
                with full_precision(), fast_pooling(network.model):
                    result = _score(options, network, source, found, shaped_by, parts, reporter)
        parts.remove()
        return result


def _score(
    options: ScoreOptions,
    network: LoadedNetwork,
    source: ImageSource,
    found: Pool,
    shaped_by: dict[str, Any],
    parts: Parts,
    reporter: Reporter,
) -> Result:
    """Go on from the parts, and write the scores."""
    pool, unlisted, skipped = found.listing
    counts_skipped = report_skipped(skipped, reporter)
    candidates = draw_candidates(pool, options.candidates, options.seed)
    batches = fitting_batches(options, network, parts, reporter)
    device = network.device.type
    reporter.note(f"scoring {len(candidates)} of {len(pool)} pool images on {device}, batch {batches.size}")
    say_what_is_kept(parts, shaped_by, len(candidates), reporter)
    scorer = scorer_of(options, network, source, batches, reporter)
    measuring = measuring_of(options, options.measure, network, batches, reporter)
    section = parts.section("pool")
    warn_unless_learnt(network, reporter)
    for few in source.batches(candidates[:PROBED], network.input_format, PROBED, options.workers):
        probe_network(network, few.pixels, batches, reporter)
    rows, failed = score_all(scorer, candidates, section, with_margins=options.nearest is None, extra=measuring)
    stop_if_too_many(options.out, failed, len(candidates), options.max_unreadable)
    for warning in scale_warnings(rows.max_values, network.input_format.white):
        reporter.warn(warning)
    audit = _settle_margins(options, scorer, rows, parts)
    kept = _keep_twins(options, scorer, rows, reporter)
    unreadable = [*unlisted, *failed, *scorer.lost.items()]
    outputs = report_unreadable(options.out, unreadable, len(candidates) + len(unlisted), reporter)
    told = metadata_of(shaped_by)
    if found.labelled:
        embedding = measuring_of(options, [EMBEDDING], network, batches, Silent())  # the pool's have warned
        embedded = embed_labelled(scorer, found.labelled, parts.section("labelled"), embedding)
        outputs.append(write_labelled_embeddings(options.out, *embedded, told["made_from"]))
    else:
        labelled_path(options.out).unlink(missing_ok=True)
    metadata = metadata_of_scores(options, network, told, audit, with_labelled=bool(found.labelled))
    with reporter.busy("writing the scores"):
        write_scores(options.out, tables_of(rows, network.classes, section, measuring), metadata)
    outcomes = judged_outcomes(rows, network, reporter, may_be_skipped=options.nearest is not None)
    reasons = rows.uncrossed_because()
    measured = {"scored": len(rows), **outcomes, "unreadable": len(unreadable), "twins": kept}
    counts = {"pool": len(pool), **found.counts, **measured}
    details = {"device": device, "batch_size": batches.size, "audit": audit and asdict(audit)}
    details["uncrossed_because"] = dict(reasons)
    summary = summary_of(counts, reasons, audit, options.nearest)
    return Result([options.out, *outputs], summary, counts | counts_skipped, details)


def _settle_margins(options: ScoreOptions, scorer: Scorer, rows: Rows, parts: Parts) -> Audit | None:
    """Compute the nearest margins if only those are wanted, and those once more that nearly tie."""
    examining = PoolMargins(scorer, rows, parts.section("margins"))
    audit = walk_nearest(examining, options.nearest, options.seed) if options.nearest else None
    resolve_ties(examining, options.nearest)
    return audit


def _beside(out: Path, suffixes: Sequence[str]) -> list[Path]:
    return [beside(out, suffix) for suffix in suffixes]


def _keep_twins(options: ScoreOptions, scorer: Scorer, rows: Rows, reporter: Reporter) -> int:
    """Save the twins of the `--twins` smallest margins, note their paths in `rows`, return how many were kept."""
    nearest = rows.by_margin()[: options.twins].tolist()
    if not nearest:
        return 0
    store = TwinStore(options.out, options.twins_dir, options.labels)
    position_of = {rows.images[place]: place for place in nearest}
    for image, twin in scorer.twins_of(list(position_of)):
        rows.twins[position_of[image]] = store.save(image, twin)
    if len(rows.twins) < len(nearest):
        reporter.note(
            f"{len(nearest) - len(rows.twins)} twins are not kept: "
            "not clearly across the boundary, or gone with their image"
        )
    return len(rows.twins)

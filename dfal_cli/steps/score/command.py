"""score: measures of every image in the pool, the margin first of all."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dfal_cli import __version__
from dfal_cli.checkpoint import LoadedNetwork, load_checkpoint
from dfal_cli.console import Reporter, Silent
from dfal_cli.device import FittingBatches, choose_device, first_batch_size, full_precision
from dfal_cli.differences import differences
from dfal_cli.errors import TryAgainError
from dfal_cli.files import beside, locked
from dfal_cli.images import Decoded, ImageSource, flat_in_words, opened, scale_warnings
from dfal_cli.measures import MEASURES, Measuring, Settings
from dfal_cli.models import quick_pooling
from dfal_cli.path_options import check_paths
from dfal_cli.pool import FoundPool, draw_candidates, find_pool, say_what_is_skipped
from dfal_cli.relative import relative_to_file
from dfal_cli.result import Result, up_to_date
from dfal_cli.schemas import (
    CROSSED,
    EMBEDDING,
    LABELLED_SUFFIX,
    META_SUFFIX,
    SKIPPED,
    UNCROSSED,
    UNREADABLE_SUFFIX,
)
from dfal_cli.scoring.labelled import embed_labelled, remove_labelled
from dfal_cli.scoring.nearest import Audit, settle_order, walk_nearest
from dfal_cli.scoring.parts import Parts
from dfal_cli.scoring.rows import Rows
from dfal_cli.scoring.scored import Examining, score_all, tables_of
from dfal_cli.scoring.scorer import MarginSettings, Scorer
from dfal_cli.scoring.soundness import PROBED, in_words, judge_scores, probe_network, warn_unless_learnt
from dfal_cli.steps.score.made_from import OTHERWISE, is_up_to_date, made_from, metadata_of
from dfal_cli.steps.score.options import ScoreOptions, check
from dfal_cli.steps.score.unreadable import report_unreadable, stop_if_too_many
from dfal_cli.tables import refuse_foreign, write_labelled_embeddings, write_scores
from dfal_cli.twins import TwinStore, locked_twins

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
        refuse_foreign(options.out, companions)
    device = choose_device(options.device)
    with (
        opened(
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
                with full_precision(), quick_pooling(network.model):
                    result = _score(options, network, source, found, shaped_by, parts, reporter)
        parts.remove()
        return result


def _score(
    options: ScoreOptions,
    network: LoadedNetwork,
    source: ImageSource,
    found: FoundPool,
    shaped_by: dict[str, Any],
    parts: Parts,
    reporter: Reporter,
) -> Result:
    """Go on from the parts, and write the scores."""
    pool, unlisted, skipped = found.listing
    counts_skipped = say_what_is_skipped(skipped, reporter)
    candidates = draw_candidates(pool, options.candidates, options.seed)
    batches = _batches(options, network, parts, reporter)
    device = network.device.type
    reporter.note(f"scoring {len(candidates)} of {len(pool)} pool images on {device}, batch {batches.size}")
    _say_what_is_kept(parts, shaped_by, len(candidates), reporter)
    scorer = _scorer(options, network, source, batches, reporter)
    measuring = _measuring(options, options.measure, network, batches, reporter)
    section = parts.section("pool")
    warn_unless_learnt(network, reporter)
    for few in source.batches(candidates[:PROBED], network.input_format, PROBED, options.workers):
        probe_network(network, few.pixels, batches, reporter)
    rows, failed = score_all(scorer, candidates, section, with_margins=options.nearest is None, further=measuring)
    stop_if_too_many(options.out, failed, len(candidates), options.max_unreadable)
    for warning in scale_warnings(rows.largest, network.input_format.white):
        reporter.warn(warning)
    examining = Examining(scorer, rows, parts.section("margins"))
    audit = walk_nearest(examining, options.nearest, options.seed) if options.nearest else None
    settle_order(examining, options.nearest)
    kept = _keep_twins(options, scorer, rows, reporter)
    unreadable = [*unlisted, *failed, *scorer.lost.items()]
    outputs = report_unreadable(options.out, unreadable, len(candidates) + len(unlisted), reporter)
    told = metadata_of(shaped_by)
    if found.labelled:
        embedding = _measuring(options, [EMBEDDING], network, batches, Silent())  # the pool's have warned
        embedded = embed_labelled(scorer, found.labelled, parts.section("labelled"), embedding)
        outputs.append(write_labelled_embeddings(options.out, *embedded, told["made_from"]))
    else:
        remove_labelled(options.out)
    metadata = _metadata(options, network, told, audit, with_labelled=bool(found.labelled))
    with reporter.busy("writing the scores"):
        write_scores(options.out, tables_of(rows, network.classes, section, measuring), metadata)
    outcomes = {outcome: rows.of_outcome(outcome) for outcome in (CROSSED, UNCROSSED, SKIPPED)}
    reasons = rows.uncrossed_because()
    judge_scores(rows.predicted(network.classes), network, outcomes, reasons, reporter)
    if scorer.flat:
        reporter.warn(flat_in_words(len(scorer.flat), len(rows)))
    if options.nearest is None:
        del outcomes[SKIPPED]
    counts = {
        "pool": len(pool),
        **found.counts,
        "scored": len(rows),
        **outcomes,
        "unreadable": len(unreadable),
        "twins": kept,
    }
    details = {
        "device": device,
        "batch_size": batches.size,
        "audit": audit and asdict(audit),
        "uncrossed_because": dict(reasons),
    }
    summary = _summary(counts, reasons, audit, options.nearest)
    return Result([options.out, *outputs], summary, counts | counts_skipped, details)


def _batches(options: ScoreOptions, network: LoadedNetwork, parts: Parts, reporter: Reporter) -> FittingBatches:
    """As many images at a time as the option says; else as those of the parts; else a first guess."""
    kept = parts.sizes
    if kept is not None and options.batch_size in (None, kept.read):
        batches = FittingBatches(kept.read, reporter, kept.computed)
    else:
        size = options.batch_size or first_batch_size(network.device, network.input_shape)
        batches = FittingBatches(size, reporter)
    parts.made_by(batches)
    return batches


def _scorer(
    options: ScoreOptions, network: LoadedNetwork, source: ImageSource, batches: FittingBatches, reporter: Reporter
) -> Scorer:
    def stream(images: Sequence[str]) -> Iterator[Decoded]:
        return source.batches(images, network.input_format, batches.read, options.workers)

    margins = MarginSettings(
        options.estimator, options.norm, options.max_iterations, options.overshoot, options.classes, options.clip
    )
    return Scorer(network, margins, stream, batches, reporter)


def _say_what_is_kept(parts: Parts, shaped_by: dict[str, Any], total: int, reporter: Reporter) -> None:
    """Whether this call goes on from an unfinished one, or why it does not."""
    if kept := parts.section("pool").kept:
        examined = parts.section("margins").kept
        reporter.note(
            f"going on after {kept} of {total} images" + (f" and {examined} further margins" if examined else "")
        )
    elif parts.others:
        told = (differences(other, shaped_by, OTHERWISE) for other in parts.others)
        why = " and ".join(dict.fromkeys(itertools.chain.from_iterable(told)))
        reporter.note(f"starting anew: the unfinished call whose parts are in {parts.folder} was made {why}")
    if parts.damaged:
        reporter.note(f"{parts.damaged} damaged files in {parts.folder} are not used: what they held is computed anew")


def _beside(out: Path, suffixes: Sequence[str]) -> list[Path]:
    return [beside(out, suffix) for suffix in suffixes]


def _measuring(
    options: ScoreOptions, names: Sequence[str], network: LoadedNetwork, batches: FittingBatches, reporter: Reporter
) -> Measuring:
    """Raises UsageError if the network has not what a measure takes."""
    settings = Settings(network.metadata["architecture"]["name"], options.passes, options.seed, reporter.warn)
    return Measuring({name: MEASURES[name] for name in names}, network.model, settings, batches)


def _keep_twins(options: ScoreOptions, scorer: Scorer, rows: Rows, reporter: Reporter) -> int:
    """Save the twins of the `--twins` smallest margins, note their paths in `rows`, return how many were kept."""
    nearest = rows.by_margin()[: options.twins].tolist()
    if not nearest:
        return 0
    store = TwinStore(options.out, options.twins_dir, options.labels)
    place_of = {rows.images[place]: place for place in nearest}
    for image, twin in scorer.twins_of(list(place_of)):
        rows.twins[place_of[image]] = store.save(image, twin)
    if len(rows.twins) < len(nearest):
        reporter.note(
            f"{len(nearest) - len(rows.twins)} twins are not kept: "
            "not clearly across the boundary, or gone with their image"
        )
    return len(rows.twins)


def _summary(counts: dict[str, int], reasons: Counter[str], audit: Audit | None, nearest: int | None) -> str:
    because = {UNCROSSED: f" ({in_words(reasons)})"} if reasons else {}
    summary = ", ".join(f"{count} {name}{because.get(name, '')}" for name, count in counts.items())
    if audit is None or not audit.audited:
        return summary
    summary += f"; an audit of {audit.audited} skipped images found none of the {nearest} nearest"
    if audit.missed:
        summary += f" ({audit.missed} that earlier ones found are skipped no more)"
    if audit.missing_at_most < (nearest or 0):
        summary += f": at most {audit.missing_at_most} are missing (95 % confidence)"
    return summary


def _metadata(
    options: ScoreOptions, network: LoadedNetwork, told: dict[str, Any], audit: Audit | None, *, with_labelled: bool
) -> dict[str, Any]:
    return {
        "nearest": options.nearest,
        "audit": audit and asdict(audit),
        "labelled_embeddings": with_labelled,
        "image_root": relative_to_file(options.images, options.out),
        "follow_links": options.follow_links,
        "input_shape": network.input_shape,
        "white": network.input_format.white,
        "classes": network.classes,
        "checkpoint_sha256": network.sha256,
        "estimator": options.estimator,
        "norm": options.norm,
        "seed": options.seed,
        **told,
        "dfal": __version__,
    }

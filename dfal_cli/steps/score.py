"""score: measures of every image in the pool, the margin first of all."""

import contextlib
import hashlib
import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dfal_cli import __version__
from dfal_cli.checkpoint import LoadedNetwork, load_checkpoint
from dfal_cli.console import Reporter, Silent
from dfal_cli.device import FittingBatches, choose_device, first_batch_size, full_precision
from dfal_cli.errors import UsageError
from dfal_cli.files import (
    beside,
    fingerprint,
    locked,
    must_be_regular,
    must_end_with,
    settings_of,
    sha256_of,
)
from dfal_cli.images import Decoded, ImageSource, opened
from dfal_cli.labelled import labelled_images, remove_labelled, write_labelled
from dfal_cli.margins import ESTIMATORS
from dfal_cli.margins.norms import NORMS
from dfal_cli.measures import MEASURES, Gathered, Settings
from dfal_cli.nearest import Audit, settle_order, walk_nearest
from dfal_cli.pool import find_pool
from dfal_cli.result import Result, up_to_date
from dfal_cli.schemas import (
    CROSSED,
    EMBEDDING,
    IMAGE,
    SCORES_COLUMNS,
    SKIPPED,
    TWIN,
    UNCROSSED,
)
from dfal_cli.scoring import MarginSettings, Scorer
from dfal_cli.soundness import PROBED, in_words, judge_scores, probe_network
from dfal_cli.steps.unreadable import UNREADABLE_SUFFIX, report_unreadable, stop_if_too_many
from dfal_cli.tables import (
    belongs_to_scores,
    labelled_path,
    read_scores_metadata,
    write_scores,
)
from dfal_cli.tables.scores import SUFFIXES
from dfal_cli.twins import TwinStore, locked_twins

WITHOUT_EFFECT = ("out", "device", "workers", "cache", "cache_limit", "batch_size", "wait", "force", "trust_code")
"""Options that do not shape the scores."""


@dataclass(frozen=True)
class ScoreOptions:
    """The options of `dfal score`; their help stands in the command."""

    images: Path
    checkpoint: Path
    out: Path
    labels: list[Path] = field(default_factory=list)
    exclude: list[Path] = field(default_factory=list)
    norm: str = "l2"
    estimator: str = "deepfool"
    candidates: int | None = None
    classes: int | None = None
    max_iterations: int = 50
    overshoot: float = 0.02
    clip: bool = False
    nearest: int | None = None
    measure: list[str] = field(default_factory=list)
    passes: int = 20
    twins: int = 0
    twins_dir: Path | None = None
    max_unreadable: float = 0.05
    arch: str | None = None
    trust_code: bool = False
    seed: int = 0
    device: str = "auto"
    batch_size: int | None = None
    workers: int | None = None
    cache: Path | None = None
    cache_limit: str = "10GB"
    wait: float = 0.0
    force: bool = False


def score(options: ScoreOptions, reporter: Reporter, images: ImageSource | None = None) -> Result:
    """Score the pool and write one row per image, and the twins of the nearest ones if asked for.

    `images` stand in for the folder `options.images`.

    Raises UsageError, DataError or TryAgainError as the command documents.
    """
    _check(options)
    device = choose_device(options.device)
    with (
        opened(images, options.images, options.cache, options.cache_limit, reporter) as source,
        locked(options.out, options.wait, reporter.note),
        locked_twins(options.out, options.twins_dir, options.wait, reporter.note)
        if options.twins
        else contextlib.nullcontext(),
    ):
        pool, unlisted = find_pool(source, options.labels, options.exclude)
        labelled = labelled_images(source.root, options.labels) if EMBEDDING in options.measure else []
        made_from = _fingerprint(options, source, pool, labelled)
        if _is_up_to_date(options, made_from):
            return up_to_date([options.out, *filter(Path.exists, _companions(options.out))])
        stop_if_too_many(options.out, unlisted, len(pool) + len(unlisted), options.max_unreadable)
        network = load_checkpoint(options.checkpoint, device, trust_code=options.trust_code, architecture=options.arch)
        candidates = _draw(pool, options.candidates, options.seed)
        batches = FittingBatches(options.batch_size or first_batch_size(device, network.input_shape), reporter)
        reporter.note(f"scoring {len(candidates)} of {len(pool)} pool images on {device.type}, batch {batches.size}")

        def stream(images: Sequence[str]) -> Iterator[Decoded]:
            return source.batches(images, network.input_shape, batches.size, options.workers)

        margins = MarginSettings(
            options.estimator, options.norm, options.max_iterations, options.overshoot, options.classes, options.clip
        )
        scorer = Scorer(network, margins, stream, batches, reporter)
        measures = _measures(options, options.measure, network, batches, reporter)
        with full_precision():
            for few in stream(candidates[:PROBED]):
                probe_network(network, few.pixels, batches, reporter)
            rows, failed = scorer.rows_of(candidates, with_margins=options.nearest is None, also=measures.add)
            stop_if_too_many(options.out, failed, len(candidates), options.max_unreadable)
            audit = walk_nearest(scorer, rows, options.nearest, options.seed) if options.nearest else None
            settle_order(scorer, rows, options.nearest)
            kept = _keep_twins(options, scorer, rows, reporter)
            unreadable = [*unlisted, *failed, *scorer.lost.items()]
            outputs = report_unreadable(options.out, unreadable, len(candidates) + len(unlisted), reporter)
            remove_labelled(options.out)
            if labelled:
                embeddings = _measures(options, [EMBEDDING], network, batches, Silent())  # the pool's have warned
                outputs.append(write_labelled(options.out, scorer, labelled, embeddings, made_from))
        columns = {name: [row[name] for row in rows] for name in SCORES_COLUMNS}
        metadata = _metadata(options, network, made_from, audit, with_labelled=bool(labelled))
        write_scores(options.out, columns, metadata, measures.columns())
    outcomes = Counter(row["outcome"] for row in rows)
    reasons = Counter(row["why"] for row in rows if row["outcome"] == UNCROSSED)
    judge_scores([row["predicted"] for row in rows], outcomes, reasons, reporter)
    counts = {"pool": len(pool), "scored": len(rows)}
    partly = options.nearest is not None
    counts |= {outcome: outcomes[outcome] for outcome in (CROSSED, UNCROSSED, *((SKIPPED,) if partly else ()))}
    counts |= {"unreadable": len(unreadable), "twins": kept}
    details = {
        "device": device.type,
        "batch_size": batches.size,
        "audit": audit and asdict(audit),
        "uncrossed_because": dict(reasons),
    }
    return Result([options.out, *outputs], _summary(counts, reasons, audit, options.nearest), counts, details)


def _check(options: ScoreOptions) -> None:
    must_end_with(options.out, SUFFIXES, "--out")
    must_be_regular(options.checkpoint, "--checkpoint")
    check_margin(options.norm, options.estimator, options.classes)
    for name in options.measure:
        if name not in MEASURES:
            raise UsageError(f"--measure {name}: use some of {', '.join(MEASURES)}")
        if MEASURES[name].vector and options.out.suffix.lower() == ".csv":
            raise UsageError(f"--measure {name}: a vector an image, which CSV cannot hold; let --out end in .parquet")
    if options.nearest is not None and options.twins > options.nearest:
        raise UsageError(
            f"--twins {options.twins}: only the --nearest {options.nearest} images are sure to have a margin"
        )


def check_margin(norm: str, estimator: str, classes: int | None) -> None:
    """Raises UsageError if there is no such norm or estimator, or if so few classes have no boundary."""
    for name, value, table in (("estimator", estimator, ESTIMATORS), ("norm", norm, NORMS)):
        if value not in table:
            raise UsageError(f"--{name} {value}: use one of {', '.join(table)}")
    if classes is not None and classes < 2:
        raise UsageError("--classes: at least 2, the predicted class and one other")


def _settings(options: ScoreOptions) -> dict[str, Any]:
    """The options that shape the scores, less the files they are made from."""
    return settings_of(options, without=(*WITHOUT_EFFECT, "images", "checkpoint", "labels", "exclude"))


def _fingerprint(options: ScoreOptions, images: ImageSource, pool: Sequence[str], labelled: Sequence[str]) -> str:
    """What the scores are made from. Of the images, path, size and time: a pool is too large to be read twice."""
    states = [[(image, *images.state_of(image)) for image in part] for part in (pool, labelled)]
    return fingerprint(_settings(options), sha256_of(options.checkpoint), states, __version__)


def _is_up_to_date(options: ScoreOptions, made_from: str) -> bool:
    """Whether the scores stand there already. Raises UsageError if others are in the way."""
    if not options.out.exists() or options.force:
        return False
    if read_scores_metadata(options.out).get("made_from") != made_from:
        raise UsageError(
            f"{options.out}: exists, and was made from other options, images or checkpoint; --force replaces it"
        )
    return belongs_to_scores(options.out)


def _companions(out: Path) -> list[Path]:
    return [beside(out, UNREADABLE_SUFFIX), labelled_path(out)]


def _measures(
    options: ScoreOptions, names: Sequence[str], network: LoadedNetwork, batches: FittingBatches, reporter: Reporter
) -> Gathered:
    """Nothing gathered yet. Raises UsageError if the network has not what a measure takes."""
    settings = Settings(network.metadata["architecture"]["name"], options.passes, options.seed, reporter.warn)
    return Gathered({name: MEASURES[name] for name in names}, network.model, settings, batches)


def _draw(pool: list[str], candidates: int | None, seed: int) -> list[str]:
    """A random `candidates` of the pool, in its order (the paper draws 300); all of it if None.

    Each image has its own lot, so that of two pools of one size the images that both hold are drawn alike. The size is
    part of it: as a pool shrinks from round to round, the same seed must not draw what it has drawn before.
    """
    if candidates is None or candidates >= len(pool):
        return pool
    lots = [hashlib.blake2b(f"{seed}/{len(pool)}/{image}".encode(), digest_size=16).digest() for image in pool]
    chosen = heapq.nsmallest(candidates, range(len(pool)), key=lots.__getitem__)
    return [pool[place] for place in sorted(chosen)]


def _keep_twins(options: ScoreOptions, scorer: Scorer, rows: list[dict[str, Any]], reporter: Reporter) -> int:
    """Save the twins of the `--twins` smallest margins, note their paths in `rows`, return how many were kept."""
    crossed = [row for row in rows if row["outcome"] == CROSSED]
    nearest = sorted(crossed, key=lambda row: (row["margin"], row[IMAGE]))[: options.twins]
    if not nearest:
        return 0
    store = TwinStore(options.out, options.twins_dir, options.labels)
    row_of = {row[IMAGE]: row for row in nearest}
    kept = 0
    for image, twin in scorer.twins_of(list(row_of)):
        row_of[image][TWIN] = store.save(image, twin)
        kept += 1
    if kept < len(nearest):
        reporter.note(
            f"{len(nearest) - kept} twins are not kept: not clearly across the boundary, or gone with their image"
        )
    return kept


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
    options: ScoreOptions, network: LoadedNetwork, made_from: str, audit: Audit | None, *, with_labelled: bool
) -> dict[str, Any]:
    return {
        "nearest": options.nearest,
        "audit": audit and asdict(audit),
        "labelled_embeddings": with_labelled,
        "image_root": str(options.images.absolute()),
        "input_shape": network.input_shape,
        "classes": network.classes,
        "checkpoint_sha256": network.sha256,
        "estimator": options.estimator,
        "settings": _settings(options),
        "norm": options.norm,
        "seed": options.seed,
        "made_from": made_from,
        "dfal": __version__,
    }

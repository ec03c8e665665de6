"""score: measures of every image in the pool, the margin first of all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dfal_cli import __version__
from dfal_cli.checkpoint import LoadedNetwork, load_checkpoint
from dfal_cli.console import Reporter
from dfal_cli.device import FittingBatches, choose_device, first_batch_size
from dfal_cli.errors import DataError, UsageError
from dfal_cli.files import (
    beside,
    fingerprint,
    locked,
    must_end_with,
    settings_of,
    sha256_of,
    stat_of,
)
from dfal_cli.images import ImageReader, read_batches, read_from_disk
from dfal_cli.margins import ESTIMATORS, Crossing
from dfal_cli.margins.across import clearly_across
from dfal_cli.margins.norms import NORMS
from dfal_cli.measures import Probabilities, probabilities
from dfal_cli.pool import find_pool
from dfal_cli.result import Result, up_to_date
from dfal_cli.schemas import CROSSED, IMAGE, SCORES_COLUMNS, TWIN, UNCROSSED, UNREADABLE_COLUMNS
from dfal_cli.tables import read_scores_metadata, write_rows, write_scores
from dfal_cli.tables.scores import SUFFIXES
from dfal_cli.twins import TwinStore

WITHOUT_EFFECT = ("out", "device", "workers", "batch_size", "force", "trust_code")
"""Options that do not shape the scores."""

PRESETS: dict[str, dict[str, Any]] = {
    # The authors' settings (arXiv:1802.09841 and their code).
    "paper": {
        "candidates": 300, "max_iterations": 10, "overshoot": 0.0, "estimator": "deepfool", "norm": "l2",
        "classes": None, "clip": False,
    },
}  # fmt: skip


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
    twins: int = 0
    twins_dir: Path | None = None
    max_unreadable: float = 0.05
    arch: str | None = None
    trust_code: bool = False
    seed: int = 0
    device: str = "auto"
    batch_size: int | None = None
    workers: int | None = None
    force: bool = False


def score(options: ScoreOptions, reporter: Reporter, reader: ImageReader = read_from_disk) -> Result:
    """Score the pool and write one row per image, and the twins of the nearest ones if asked for.

    Raises UsageError, DataError or TryAgainError as the command documents.
    """
    _check(options)
    device = choose_device(options.device)
    network = load_checkpoint(options.checkpoint, device, trust_code=options.trust_code, architecture=options.arch)
    with locked(options.out):
        pool = find_pool(options.images, options.labels, options.exclude)
        made_from = _fingerprint(options, pool)
        if options.out.exists() and not options.force:
            return _already_there(options, made_from)
        candidates = _draw(pool, options.candidates, options.seed)
        size = options.batch_size or first_batch_size(device, network.input_shape)
        scorer = Scorer(options, network, device, size, reader, reporter)
        reporter.note(f"scoring {len(candidates)} of {len(pool)} pool images on {device.type}, batch {size}")

        rows, unreadable = scorer.rows_of(candidates)
        outputs = _report_unreadable(options, unreadable, len(candidates), reporter)
        kept = scorer.keep_twins(rows)
        columns = {name: [row[name] for row in rows] for name in SCORES_COLUMNS}
        write_scores(options.out, columns, _metadata(options, network, made_from))
    crossed = sum(row["outcome"] == CROSSED for row in rows)
    counts = {
        "pool": len(pool), "scored": len(rows), CROSSED: crossed, UNCROSSED: len(rows) - crossed,
        "unreadable": len(unreadable), "twins": kept,
    }  # fmt: skip
    summary = ", ".join(f"{count} {name}" for name, count in counts.items())
    return Result([options.out, *outputs], summary, counts, {"device": device.type, "batch_size": scorer.batches.size})


def _check(options: ScoreOptions) -> None:
    must_end_with(options.out, SUFFIXES, "--out")
    for name, value, table in (("estimator", options.estimator, ESTIMATORS), ("norm", options.norm, NORMS)):
        if value not in table:
            raise UsageError(f"--{name} {value}: use one of {', '.join(table)}")
    if options.classes is not None and options.classes < 2:
        raise UsageError("--classes: at least 2, the predicted class and one other")


def _fingerprint(options: ScoreOptions, pool: Sequence[str]) -> str:
    """What the scores are made from. Of the images, path, size and time: a pool is too large to be read twice."""
    settings = settings_of(options, without=(*WITHOUT_EFFECT, "images", "checkpoint", "labels", "exclude"))
    images = [(image, *stat_of(options.images / image)) for image in pool]
    return fingerprint(settings, sha256_of(options.checkpoint), images, __version__)


def _already_there(options: ScoreOptions, made_from: str) -> Result:
    if read_scores_metadata(options.out).get("made_from") != made_from:
        raise UsageError(
            f"{options.out}: exists, and was made from other options, images or checkpoint; --force replaces it"
        )
    return up_to_date([options.out])


def _draw(pool: list[str], candidates: int | None, seed: int) -> list[str]:
    """A random `candidates` of the pool, in its order (the paper draws 300); all of it if None."""
    if candidates is None or candidates >= len(pool):
        return pool
    chosen = np.random.default_rng(seed).choice(len(pool), candidates, replace=False)
    return [pool[place] for place in sorted(chosen)]


class Scorer:
    """The network, and how images reach it."""

    def __init__(
        self,
        options: ScoreOptions,
        network: LoadedNetwork,
        device: torch.device,
        batch_size: int,
        reader: ImageReader,
        reporter: Reporter,
    ) -> None:
        self._options = options
        self._network = network
        self._device = device
        self._reader = reader
        self._reporter = reporter
        self.batches = FittingBatches(batch_size, reporter)

    def rows_of(self, images: Sequence[str]) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
        """Score the images in a stream: rows of the scores table in their order, and (image, reason) of the rest."""
        rows: list[dict[str, Any]] = []
        unreadable: list[tuple[str, str]] = []
        with self._reporter.progress("scoring", len(images), "images") as advance:
            for decoded in self._stream(images):
                unreadable += decoded.unreadable
                names = iter(decoded.images)
                for measured, crossing in self.batches.apply(self._measure, self._floats(decoded.pixels)):
                    rows += _rows(names, self._network.classes, measured, crossing)
                advance(len(decoded.images) + len(decoded.unreadable))
        return rows, unreadable

    def keep_twins(self, rows: list[dict[str, Any]]) -> int:
        """Save the adversarial images of the `--twins` smallest margins and note their paths in `rows`.

        They are computed again rather than held in memory while the pool streams by. A kept twin is verified:
        classified differently from its image. Returns how many were kept.
        """
        crossed = [row for row in rows if row["outcome"] == CROSSED]
        nearest = sorted(crossed, key=lambda row: (row["margin"], row[IMAGE]))[: self._options.twins]
        if not nearest:
            return 0
        store = TwinStore(self._options.out, self._options.twins_dir, self._options.labels)
        row_of = {row[IMAGE]: row for row in nearest}
        kept = 0
        with self._reporter.progress("twins", len(nearest), "images") as advance:
            for decoded in self._stream(list(row_of)):
                names = iter(decoded.images)
                for twins, across in self.batches.apply(self._twins, self._floats(decoded.pixels)):
                    for twin, is_across in zip(twins, across, strict=True):
                        image = next(names)
                        if is_across:
                            row_of[image][TWIN] = store.save(image, twin)
                            kept += 1
                advance(len(decoded.images))
        if kept < len(nearest):
            self._reporter.note(f"{len(nearest) - kept} twins are not kept: they are not clearly across the boundary")
        return kept

    def _stream(self, images: Sequence[str]) -> Any:
        options = self._options
        return read_batches(
            options.images, images, self._network.input_shape, self.batches.size, options.workers, self._reader
        )

    def _floats(self, pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(pixels).to(self._device).float() / 255

    def _cross(self, images: Tensor) -> Crossing:
        options = self._options
        return ESTIMATORS[options.estimator](
            self._network.model,
            images,
            norm=options.norm,
            max_iterations=options.max_iterations,
            overshoot=options.overshoot,
            classes=options.classes,
            clip=options.clip,
        )

    def _measure(self, images: Tensor) -> tuple[Probabilities, Crossing]:
        with torch.no_grad():
            measured = probabilities(self._network.model(images))
        return Probabilities(*(values.cpu() for values in measured)), Crossing(*(t.cpu() for t in self._cross(images)))

    def _twins(self, images: Tensor) -> tuple[np.ndarray, list[bool]]:
        twins, across = clearly_across(
            self._network.model, images, self._cross(images).adversarial, clip=self._options.clip
        )
        return twins.cpu().numpy(), across.tolist()


def _rows(names: Any, classes: tuple[str, ...], measured: Probabilities, crossing: Crossing) -> list[dict[str, Any]]:
    """Rows of the scores table; None is a null, and stands wherever there is no finite number."""
    columns = [values.tolist() for values in (*measured, crossing.margin, crossing.crossing_class, crossing.iterations)]
    return [
        {
            IMAGE: next(names),
            "predicted": classes[predicted] if math.isfinite(confidence) else None,
            "confidence": _finite(confidence),
            "probability_gap": _finite(gap),
            "entropy": _finite(entropy),
            "outcome": CROSSED if other >= 0 and math.isfinite(margin) else UNCROSSED,
            "margin": _finite(margin),
            "crossing_class": classes[other] if other >= 0 and math.isfinite(margin) else None,
            "iterations": iterations,
            TWIN: None,
        }
        for predicted, confidence, gap, entropy, margin, other, iterations in zip(*columns, strict=True)
    ]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _report_unreadable(
    options: ScoreOptions, unreadable: list[tuple[str, str]], total: int, reporter: Reporter
) -> list[Path]:
    """List the images that could not be read beside the output. Raises DataError if they are too many."""
    listing = beside(options.out, ".unreadable.csv")
    listing.unlink(missing_ok=True)
    if not unreadable:
        return []
    write_rows(listing, UNREADABLE_COLUMNS, unreadable)
    share = f"{len(unreadable)} of {total} images cannot be read"
    if len(unreadable) > options.max_unreadable * total:
        raise DataError(f"{share} ({listing} has the reasons); mend them or raise --max-unreadable")
    reporter.warn(f"{share}; {listing} has the reasons")
    return [listing]


def _metadata(options: ScoreOptions, network: LoadedNetwork, made_from: str) -> dict[str, Any]:
    return {
        "image_root": str(options.images.absolute()),
        "input_shape": network.input_shape,
        "classes": network.classes,
        "checkpoint_sha256": sha256_of(options.checkpoint),
        "estimator": options.estimator,
        "settings": settings_of(options, without=(*WITHOUT_EFFECT, "images", "checkpoint", "labels", "exclude")),
        "norm": options.norm,
        "seed": options.seed,
        "made_from": made_from,
        "dfal": __version__,
    }

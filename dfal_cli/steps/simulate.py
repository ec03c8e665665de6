"""simulate: whole rounds with an oracle file that answers, to see what a strategy is worth before paying for labels."""

import itertools
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dfal_cli import __version__
from dfal_cli.console import Reporter, Silent
from dfal_cli.errors import DataError, UsageError
from dfal_cli.files import atomic_output, fingerprint, locked, must_exist, settings_of, sha256_of, stat_of
from dfal_cli.images import ImageSource, list_images, prepare
from dfal_cli.pages.curves import write_curves
from dfal_cli.result import Result, up_to_date
from dfal_cli.schemas import IMAGE, LABEL, RESULTS_COLUMNS, TIMINGS_COLUMNS
from dfal_cli.steps.merge import MergeOptions, merge
from dfal_cli.steps.score import ScoreOptions, score
from dfal_cli.steps.select import SelectOptions, select
from dfal_cli.steps.train import TrainOptions, train
from dfal_cli.strategies import STRATEGIES
from dfal_cli.tables import labelled_rows, read_labels_files, read_queries, write_csv, write_rows

WITHOUT_EFFECT = ("out", "device", "workers", "force", "images", "labels", "test")
ROUNDS = ".rounds"
MADE_FROM = ".made_from"


class Contender(NamedTuple):
    """A strategy as a whole: what `select` does, and whether `score` keeps twins for `train`."""

    strategy: str
    twins: bool = False


CONTENDERS = {name: Contender(name) for name in STRATEGIES} | {
    "dfal": Contender("dfal", twins=True),
    "dfal-without-twins": Contender("dfal"),
}
DEFAULT_CONTENDERS = "dfal,dfal-without-twins,random"


@dataclass(frozen=True)
class SimulateOptions:
    """The options of `dfal simulate`; their help stands in the command."""

    images: Path
    labels: list[Path]
    test: list[Path]
    out: Path
    strategies: str = DEFAULT_CONTENDERS
    initial: int = 100
    count: int = 100
    budget: int = 1000
    trials: int = 1
    arch: str | None = None
    image_size: int | None = None
    grey: bool | None = None
    epochs: int = 100
    patience: int = 5
    monitor: str = "loss"
    restarts: int = 1
    batch_size: int = 32
    lr: float = 1e-3
    augment: str = "none"
    validation_fraction: float = 0.2
    candidates: int | None = None
    seed: int = 0
    device: str = "auto"
    workers: int | None = None
    force: bool = False


class Simulated(NamedTuple):
    """One round of one strategy: its rows of results.csv and timings.csv."""

    result: tuple[str, ...]
    timing: tuple[str, ...]


def simulate(options: SimulateOptions, reporter: Reporter) -> Result:
    """Run every strategy from the same initial labels until the budget is spent, and write tables and curves.

    Raises UsageError, DataError or TryAgainError as the command documents.
    """
    names = _check(options)
    oracle = labelled_rows(read_labels_files(options.labels))
    _check_oracle(options, oracle)
    outputs = [options.out / name for name in ("results.csv", "timings.csv", "curves.png")]
    with locked(options.out / "results.csv"):
        made_from = _fingerprint(options, oracle)
        if outputs[0].exists() and not options.force:
            return _already_there(options.out, outputs, made_from)
        rounds = options.out / ROUNDS
        shutil.rmtree(rounds, ignore_errors=True)
        images = prepare(
            options.images, oracle[IMAGE], labelled_rows(read_labels_files(options.test))[IMAGE],
            image_size=options.image_size, grey=options.grey,
            folder=rounds, workers=options.workers, reporter=reporter,
        )  # fmt: skip
        simulation = Simulation(options, oracle, images, rounds)
        done: list[Simulated] = []
        total = len(names) * options.trials * simulation.rounds_each
        with reporter.progress("simulating", total, "rounds") as advance:
            for trial, name in itertools.product(range(1, options.trials + 1), names):
                for simulated in simulation.rounds_of(name, trial):
                    simulation.tell_warnings(reporter)
                    done.append(simulated)
                    reporter.note(_line(simulated))
                    advance(1)
        _write(options.out, outputs, done, made_from)
        shutil.rmtree(rounds)
    counts = {"rounds": len(done), "trials": options.trials, "oracle": len(oracle)}
    return Result(outputs, _summary(done), counts)


def _check(options: SimulateOptions) -> list[str]:
    names = [name.strip() for name in options.strategies.split(",")]
    for name in names:
        if name not in CONTENDERS:
            raise UsageError(f"--strategies {name}: use some of {', '.join(CONTENDERS)}")
    if options.budget < options.initial:
        raise UsageError(f"--budget {options.budget}: counts the {options.initial} initial labels, so it must be more")
    if options.candidates is not None and options.candidates < options.count:
        raise UsageError(
            f"--candidates {options.candidates}: fewer than the {options.count} queries of a round (--count)"
        )
    must_exist(options.images, "--images", folder=True)
    return list(dict.fromkeys(names))


def _check_oracle(options: SimulateOptions, oracle: pd.DataFrame) -> None:
    test = labelled_rows(read_labels_files(options.test))
    if test.empty:
        raise DataError(f"{options.test[0]}: no image has a label, so there is nothing to measure on (--test)")
    both = sorted(set(oracle[IMAGE]) & set(test[IMAGE]))
    if both:
        raise DataError(
            f"{both[0]}: in the oracle and in the test file ({len(both)} images are); a test must be unseen"
        )
    if oracle.empty:
        raise DataError(f"{options.labels[0]}: the oracle has no labels")
    missing = sorted(set(oracle[IMAGE]) - set(list_images(options.images)))
    if missing:
        raise DataError(f"{missing[0]}: in the oracle, but not under {options.images} ({len(missing)} images are)")


def _fingerprint(options: SimulateOptions, oracle: pd.DataFrame) -> str:
    files = [sha256_of(path) for path in (*options.labels, *options.test)]
    images = [(image, *stat_of(options.images / image)) for image in oracle[IMAGE]]
    return fingerprint(settings_of(options, without=WITHOUT_EFFECT), files, images, __version__)


def _already_there(out: Path, outputs: list[Path], made_from: str) -> Result:
    stored = out / MADE_FROM
    if not stored.exists() or stored.read_text().strip() != made_from:
        raise UsageError(f"{out}: holds the results of other options or labels; --force replaces them")
    return up_to_date(outputs)


class Simulation:
    """The oracle, and the steps of a round as it calls them: the same ones that the commands call."""

    def __init__(self, options: SimulateOptions, oracle: pd.DataFrame, images: ImageSource, rounds: Path) -> None:
        self._options = options
        self._answers = dict(zip(oracle[IMAGE], oracle[LABEL], strict=True))
        self._classes = tuple(sorted(set(oracle[LABEL])))
        self._rounds = rounds
        self._budget = min(options.budget, len(oracle))
        self._images = images
        self._steps = Silent()

    @property
    def rounds_each(self) -> int:
        """Rounds of each strategy in each trial."""
        return 1 + -(-(self._budget - min(self._options.initial, self._budget)) // self._options.count)

    def tell_warnings(self, reporter: Reporter) -> None:
        """Pass on what the steps of the last round have warned of."""
        for warning in self._steps.warnings:
            reporter.warn(warning)
        self._steps.warnings.clear()

    def rounds_of(self, name: str, trial: int) -> Iterator[Simulated]:
        """Run one strategy in one trial. All strategies share a trial's initial labels, candidates and seeds."""
        contender = CONTENDERS[name]
        folder = self._rounds / f"{name}-{trial}"
        labels = folder / "labels.csv"
        annotations = min(self._options.initial, self._budget)
        self._ask(Contender("random"), annotations, folder / "0", labels, None, self._seed(trial, 0))
        for round_number in range(self.rounds_each):
            here = folder / str(round_number + 1)
            seed = self._seed(trial, round_number + 1)
            started = time.perf_counter()
            checkpoint, metrics = self._train(labels, here, contender, seed)
            trained = time.perf_counter()
            wanted = min(self._options.count, self._budget - annotations)
            now = annotations
            if wanted:
                annotations += self._ask(contender, wanted, here, labels, checkpoint, seed)
            queried = time.perf_counter()
            place = (name, str(trial), str(round_number))
            entropy = _entropy(metrics["labelled"])
            yield Simulated(
                (*place, str(now), f"{metrics['accuracy']:.6f}", f"{metrics['loss']:.6f}", f"{entropy:.6f}"),
                (*place, f"{trained - started:.3f}", f"{queried - trained:.3f}" if wanted else ""),
            )

    def _seed(self, trial: int, round_number: int) -> int:
        return int(np.random.SeedSequence([self._options.seed, trial, round_number]).generate_state(1)[0])

    def _train(self, labels: Path, here: Path, contender: Contender, seed: int) -> tuple[Path, dict[str, Any]]:
        options = self._options
        out = here / "model.safetensors"
        result = train(
            TrainOptions(
                images=options.images, labels=[labels], out=out, test=options.test, class_names=self._classes,
                arch=options.arch, image_size=options.image_size, grey=options.grey, epochs=options.epochs,
                patience=options.patience, monitor=options.monitor,
                restarts=options.restarts, batch_size=options.batch_size, lr=options.lr,
                validation_fraction=options.validation_fraction, augment=options.augment,
                twins=contender.twins, seed=seed, device=options.device,
                workers=options.workers, trust_code=True,
            ),
            self._steps, self._images,
        )  # fmt: skip
        labelled = labelled_rows(read_labels_files([labels]))[LABEL]
        return out, {**result.details["test"], "labelled": labelled}

    def _ask(
        self, contender: Contender, count: int, here: Path, labels: Path, checkpoint: Path | None, seed: int
    ) -> int:
        """Pick queries, let the oracle answer them, merge; returns how many were answered."""
        options = self._options
        picking = SelectOptions(
            count=count, out=here / "queries.csv", labels=[labels] if labels.exists() else [],
            strategy=contender.strategy, seed=seed,
        )  # fmt: skip
        if contender.strategy == "random" or checkpoint is None:
            select(replace(picking, images=options.images), self._steps, self._images)
        else:
            scores = here / "scores.parquet"
            score(
                ScoreOptions(
                    images=options.images, checkpoint=checkpoint, out=scores, labels=picking.labels,
                    candidates=options.candidates,
                    nearest=count, twins=count if contender.twins else 0,
                    seed=seed, device=options.device, workers=options.workers, trust_code=True,
                ),
                self._steps, self._images,
            )  # fmt: skip
            select(replace(picking, scores=scores), self._steps)
        self._answer(picking.out)
        merged = merge(MergeOptions(queries=picking.out, labels=labels, allow_new_classes=True), self._steps)
        return merged.counts["merged"]

    def _answer(self, queries: Path) -> None:
        """The oracle fills in the list, as a person would."""
        table = read_queries(queries)
        write_csv(queries, table.assign(**{LABEL: table[IMAGE].map(self._answers)}))


def _entropy(labels: "pd.Series[str]") -> float:
    """Entropy in nats of how the labels are spread over classes: low where a strategy asks about few of them."""
    shares = labels.value_counts(normalize=True).to_numpy()
    return float(-(shares * np.log(shares)).sum())


def _summary(done: list[Simulated]) -> str:
    """Accuracy at the end of each strategy, mean over the trials."""
    table = pd.DataFrame([row.result for row in done], columns=list(RESULTS_COLUMNS))
    last = table.groupby(["strategy", "trial"], sort=False).tail(1).astype({"accuracy": float})
    means = last.groupby("strategy", sort=False)["accuracy"].mean()
    return "mean accuracy at the end: " + ", ".join(f"{name} {accuracy:.4f}" for name, accuracy in means.items())


def _line(simulated: Simulated) -> str:
    name, trial, round_number, annotations, accuracy, *_ = simulated.result
    return f"{name}, trial {trial}, round {round_number}: {annotations} annotations, accuracy {accuracy}"


def _write(out: Path, outputs: Sequence[Path], done: list[Simulated], made_from: str) -> None:
    results, timings, curves = outputs
    write_rows(timings, TIMINGS_COLUMNS, [row.timing for row in done])
    numbers = pd.DataFrame([row.result for row in done], columns=list(RESULTS_COLUMNS))
    write_curves(curves, numbers.astype({"annotations": int, "accuracy": float}))
    with atomic_output(out / MADE_FROM) as temporary:
        temporary.write_text(made_from + "\n")
    write_rows(results, RESULTS_COLUMNS, [row.result for row in done])  # last: its presence says that all is there

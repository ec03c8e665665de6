"""simulate: whole rounds with an oracle file that answers, to see what a strategy is worth before paying for labels."""

import contextlib
import functools
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from dfal_cli import __version__
from dfal_cli.comparison import as_numbers
from dfal_cli.console import Reporter
from dfal_cli.contenders import CONTENDERS
from dfal_cli.errors import DataError, UsageError
from dfal_cli.files import atomic_output, fingerprint, locked, must_exist, settings_of, sha256_of, stat_if_there
from dfal_cli.images import common_shape, list_images, prepare, probe_image
from dfal_cli.pages.curves import write_curves
from dfal_cli.pages.report import write_report
from dfal_cli.pages.what_ran import what_ran
from dfal_cli.processes import side_by_side
from dfal_cli.result import Result, up_to_date
from dfal_cli.schemas import IMAGE, LABEL, RESULTS_COLUMNS, TIMINGS_COLUMNS
from dfal_cli.steps.simulation import Played, Run, SimulateOptions, Simulation, played_before
from dfal_cli.tables import labelled_rows, read_labels_files, to_csv, write_csv

WITHOUT_EFFECT = ("out", "device", "workers", "jobs", "force", "images", "labels", "test", "strategies", "trials")
"""Options that do not shape a run."""

OUTPUTS = ("results.csv", "timings.csv", "curves.png", "report.html")
ROUNDS = ".rounds"
MADE_FROM = ".made_from"


def simulate(options: SimulateOptions, reporter: Reporter) -> Result:
    """Run every strategy from the same initial labels until the budget is spent, and write tables and curves.

    Runs that are there already, from an earlier call, are taken as they are; one that was interrupted goes on.
    Raises UsageError, DataError or TryAgainError as the command documents.
    """
    names = _check(options)
    oracle, test = (labelled_rows(read_labels_files(files)) for files in (options.labels, options.test))
    _check_oracle(options, oracle, test)
    runs = [Run(name, trial) for trial, name in itertools.product(range(1, options.trials + 1), names)]
    rounds = options.out / ROUNDS
    with locked(options.out / "results.csv"):
        _claim(options, _fingerprint(options, oracle, test))
        done = {run: played for run in runs if (played := played_before(rounds, run))}
        left = [run for run in runs if run not in done]
        if left:
            done |= _play(options, oracle, test, left, reporter)
        table = _table([played.result for run in runs for played in done[run]], RESULTS_COLUMNS)
        timings = _table([played.timing for run in runs for played in done[run]], TIMINGS_COLUMNS)
        outputs, new = _write(options, oracle, test, table, timings)
    if not new:
        return up_to_date(outputs)
    counts = {"rounds": len(table), "trials": options.trials, "oracle": len(oracle)}
    return Result(outputs, _summary(table), counts)


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


def _check_oracle(options: SimulateOptions, oracle: pd.DataFrame, test: pd.DataFrame) -> None:
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


def _fingerprint(options: SimulateOptions, oracle: pd.DataFrame, test: pd.DataFrame) -> str:
    """What the rounds of a run are made from."""
    files = [sha256_of(path) for path in (*options.labels, *options.test)]
    states = [stat_if_there(f"{options.images}/{image}") for image in (*oracle[IMAGE], *test[IMAGE])]
    return fingerprint(settings_of(options, without=WITHOUT_EFFECT), files, states, __version__)


def _claim(options: SimulateOptions, made_from: str) -> None:
    """Make the output folder that of this simulation. Raises UsageError if it is that of another one."""
    stored = options.out / MADE_FROM
    if stored.exists() and not options.force and stored.read_text().strip() == made_from:
        return
    if _holds_rounds(options.out) and not options.force:
        raise UsageError(f"{options.out}: holds the results of other options or labels; --force replaces them")
    shutil.rmtree(options.out / ROUNDS, ignore_errors=True)
    with atomic_output(stored) as temporary:
        temporary.write_text(made_from + "\n")


def _holds_rounds(out: Path) -> bool:
    ended = itertools.chain((out / ROUNDS).glob("*/*/done.json"), (out / ROUNDS).glob("*.rows.json"))
    return (out / "results.csv").exists() or any(ended)


def _play(
    options: SimulateOptions, oracle: pd.DataFrame, test: pd.DataFrame, runs: Sequence[Run], reporter: Reporter
) -> dict[Run, list[Played]]:
    """Play the rounds of the runs in as many processes as asked for, and tell of each."""
    folder = options.out / ROUNDS
    images = prepare(
        options.images, oracle[IMAGE], test[IMAGE],
        image_size=options.image_size, grey=options.grey, folder=folder, workers=options.workers, reporter=reporter,
    )  # fmt: skip
    simulation = Simulation(options, dict(zip(oracle[IMAGE], oracle[LABEL], strict=True)), images, folder)
    done: dict[Run, list[Played]] = {run: [] for run in runs}
    total = len(runs) * simulation.rounds_each
    jobs = options.jobs or _default_jobs(options)
    with (
        reporter.progress("simulating", total, "rounds") as advance,
        contextlib.closing(side_by_side(functools.partial(_rounds_of, simulation), runs, jobs)) as rounds,
    ):
        for played in rounds:
            name, trial, *_ = played.result
            done[Run(name, int(trial))].append(played)
            for warning in played.warnings:
                reporter.warn(warning)
            if not played.before:
                reporter.note(_line(played))
            advance(1)
    for file in folder.glob("images-*"):
        file.unlink()
    return done


def _rounds_of(simulation: Simulation, run: Run) -> Iterator[Played]:
    """`play`, in a process that computes; the one that waits for it does without torch."""
    from dfal_cli.steps.rounds import play

    yield from play(simulation, run)


def _default_jobs(options: SimulateOptions) -> int:
    """One for each core; of a GPU there is one."""
    if options.device == "cpu":
        return os.cpu_count() or 1
    from dfal_cli.device import choose_device

    return 1 if choose_device(options.device).type == "cuda" else os.cpu_count() or 1


def _table(rows: Iterable[Sequence[str]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(columns))


def _summary(results: pd.DataFrame) -> str:
    """Accuracy at the end of each strategy, mean over the trials."""
    last = results.groupby(["strategy", "trial"], sort=False).tail(1).astype({"accuracy": float})
    means = last.groupby("strategy", sort=False)["accuracy"].mean()
    return "mean accuracy at the end: " + ", ".join(f"{name} {accuracy:.4f}" for name, accuracy in means.items())


def _line(played: Played) -> str:
    name, trial, round_number, annotations, accuracy, *_ = played.result
    return f"{name}, trial {trial}, round {round_number}: {annotations} annotations, accuracy {accuracy}"


def _write(
    options: SimulateOptions, oracle: pd.DataFrame, test: pd.DataFrame, results: pd.DataFrame, timings: pd.DataFrame
) -> tuple[list[Path], bool]:
    """Write tables, curves and report, unless they are there; returns their paths, and whether anything was written."""
    outputs = [options.out / name for name in OUTPUTS]
    text = to_csv(results).encode()
    if all(path.exists() for path in outputs) and outputs[0].read_bytes() == text:
        return outputs, False
    write_csv(outputs[1], timings)
    numbers = as_numbers(results)
    write_curves(outputs[2], numbers)
    probes = (probe_image(options.images / image) for image in oracle[IMAGE])
    shape = common_shape(probes, options.image_size, options.grey)
    settings = what_ran(options, shape, oracle[LABEL], len(test), options.jobs or _default_jobs(options))
    write_report(outputs[3], numbers, as_numbers(timings), settings)
    write_csv(outputs[0], results)  # last: its presence says that all is there
    return outputs, True

"""The output folder of a simulation: its owner, its stored rounds, and its tables, curves and report."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dfal_cli.errors import UsageError
from dfal_cli.pages.curves import write_curves
from dfal_cli.pages.report import write_report
from dfal_cli.schemas import RESULTS_COLUMNS, TIMINGS_COLUMNS
from dfal_cli.statistics.comparison import MeasuredOn, as_numbers
from dfal_cli.steps.simulate.run_inputs import CHANGE_TEXTS
from dfal_cli.steps.simulate.runs import ROUND_FILE, RUN_SUFFIX, RoundResult, Run, read_round, read_run
from dfal_cli.system.differences import differences, in_words
from dfal_cli.system.files import atomic_output, remove_leftovers
from dfal_cli.system.fingerprints import canonical_json
from dfal_cli.system.state_files import read_json, write_json
from dfal_cli.tables import to_csv, write_csv

RESULTS, TIMINGS, CURVES, REPORT = OUTPUTS = ("results.csv", "timings.csv", "curves.png", "report.html")
ROUNDS, MADE_FROM, INPUT, CONTENTS = ".rounds", ".made_from", "input.json", "contents.json"
UNREADABLE = "unreadable.csv"
UNKNOWN = f"from unknown inputs ({MADE_FROM} is damaged)"
OWN_FILES = {*OUTPUTS, MADE_FROM, UNREADABLE}
"""Files that a simulation writes into the folder itself."""


def check_owner(out: Path, inputs: Mapping[str, Any]) -> None:
    """Raise UsageError if the folder holds another simulation, or foreign files that would be overwritten."""
    before = _stored(out)
    if before is None:
        found = [name for name in (*OUTPUTS, UNREADABLE, ROUNDS) if (out / name).exists()]
        if found:
            raise UsageError(
                f"{out}: holds {' and '.join(found)}, which dfal simulate did not write ({MADE_FROM} is missing); "
                "choose another --out, or use --force to overwrite them"
            )
        return
    rounds = _count_rounds(out / ROUNDS)
    if before == _as_stored(inputs) or not (rounds or any((out / name).exists() for name in OUTPUTS)):
        return
    change = in_words(differences(before, _as_stored(inputs), CHANGE_TEXTS)) if before else UNKNOWN
    lost = f"discard its {rounds} rounds" if rounds else "overwrite its results"
    raise UsageError(f"{out}: was made {change}; choose another --out, or use --force to {lost}")


def written_in(out: Path) -> list[Path]:
    """The folder, and the files in it that a simulation may overwrite."""
    return [out, *(out / name for name in sorted(OWN_FILES))]


def claim(out: Path, inputs: Mapping[str, Any], *, force: bool) -> None:
    """Make this simulation the owner of the folder, and empty it unless it is already. Raises as `check_owner`."""
    if not force:
        check_owner(out, inputs)
        if _stored(out) == _as_stored(inputs):
            return
    if (out / ROUNDS).exists():
        shutil.rmtree(out / ROUNDS)  # a run that stayed would be taken for one of this simulation
    for name in OUTPUTS:
        (out / name).unlink(missing_ok=True)
    with atomic_output(out / MADE_FROM) as temporary:
        temporary.write_text(canonical_json(inputs) + "\n", encoding="utf-8")


def remove_unneeded(out: Path, finished: Iterable[Run]) -> None:
    """Remove what a killed simulation left: temporary files, and the folders of finished runs."""
    remove_leftovers(out, OWN_FILES.__contains__)
    if (out / ROUNDS).exists():
        remove_leftovers(out / ROUNDS, lambda name: True)
    for run in finished:
        shutil.rmtree(out / ROUNDS / run.title, ignore_errors=True)


def remove_data(out: Path) -> None:
    """Remove the decoded images or the vectors, when all rounds are finished."""
    for pattern in ("images-*", "vectors-*"):
        for file in (out / ROUNDS).glob(pattern):
            file.unlink()


def count_other_runs(out: Path, runs: Iterable[Run]) -> int:
    """Number of finished runs in the folder besides these."""
    files = {path.name for path in (out / ROUNDS).glob(f"*{RUN_SUFFIX}")}
    return len(files - {run.title + RUN_SUFFIX for run in runs})


def store_input_shape(out: Path, shape: tuple[int, ...]) -> None:
    """Store the shape of what is classified; images and vectors are removed at the end."""
    write_json(out / ROUNDS / INPUT, shape)


def read_input_shape(out: Path, axes: int) -> tuple[int, ...] | None:
    """Return what `store_input_shape` stored; None if there is nothing with this number of axes."""
    match read_json(out / ROUNDS / INPUT):
        case [*sides] if len(sides) == axes and all(isinstance(side, int) for side in sides):
            return tuple(sides)
    return None


class Tables(NamedTuple):
    """The tables as text, as they are written."""

    results: pd.DataFrame
    timings: pd.DataFrame


def tables_of(rounds: Iterable[RoundResult]) -> Tables:
    """The tables with the rows of the rounds."""
    rows = [(each.result, each.timing) for each in rounds]
    return Tables(
        pd.DataFrame([result for result, _ in rows], columns=list(RESULTS_COLUMNS), dtype=str),
        pd.DataFrame([timing for _, timing in rows], columns=list(TIMINGS_COLUMNS), dtype=str),
    )


def write_tables(out: Path, tables: Tables) -> None:
    """Write the tables, and remove curves and report, which no longer agree with them."""
    for name in (CURVES, REPORT):
        (out / name).unlink(missing_ok=True)
    write_csv(out / TIMINGS, tables.timings)
    write_csv(out / RESULTS, tables.results)


def write_all(
    out: Path, tables: Tables, settings: Mapping[str, str], measured_on: MeasuredOn, remedies: str, jobs: int
) -> tuple[list[Path], bool]:
    """Write tables, curves and report unless they are up to date; return their paths, and whether they were written.

    remedies: what to try if networks did not learn. jobs: number of parallel runs.
    """
    outputs = [out / name for name in OUTPUTS]
    exist = all(path.exists() for path in outputs)
    if exist and _holds(out / RESULTS, tables.results) and _holds(out / TIMINGS, tables.timings):
        return outputs, False
    write_tables(out, tables)
    results, timings = map(as_numbers, tables)
    write_curves(out / CURVES, results, measured_on)
    # The report is written last: its existence means that all outputs are complete.
    write_report(out / REPORT, results, timings, settings, measured_on, remedies, jobs)
    return outputs, True


def _holds(path: Path, table: pd.DataFrame) -> bool:
    return path.read_bytes() == to_csv(table).encode()


def _stored(out: Path) -> dict[str, Any] | None:
    """The stored inputs of the folder's runs; None if it holds no simulation, {} if the file is damaged."""
    try:
        stored = json.loads((out / MADE_FROM).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return stored if isinstance(stored, dict) else {}


def _as_stored(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs after a round trip through JSON."""
    stored: dict[str, Any] = json.loads(canonical_json(inputs))
    return stored


def _count_rounds(folder: Path) -> int:
    """Number of finished rounds, of finished and unfinished runs.

    A simulation killed as a run ended leaves the run's folder too, whose rounds are not counted twice.
    """
    finished = {path.name.removesuffix(RUN_SUFFIX): len(read_run(path)) for path in folder.glob(f"*{RUN_SUFFIX}")}
    unfinished = [path for path in folder.glob(f"*/*/{ROUND_FILE}") if path.parts[-3] not in finished]
    return sum(finished.values()) + sum(read_round(path) is not None for path in unfinished)

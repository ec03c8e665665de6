"""The output folder of a simulation: whose it is, what it keeps of runs, its tables, curves and report."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dfal_cli.errors import UsageError
from dfal_cli.images import Shape
from dfal_cli.pages.curves import write_curves
from dfal_cli.pages.report import write_report
from dfal_cli.schemas import RESULTS_COLUMNS, TIMINGS_COLUMNS
from dfal_cli.statistics.comparison import MeasuredOn, as_numbers
from dfal_cli.steps.simulate.made_from import CHANGE_TEXTS
from dfal_cli.steps.simulate.simulation import DONE, ENDED, Played, Run, round_in, rounds_in
from dfal_cli.system.differences import differences
from dfal_cli.system.files import atomic_output, remove_leftovers
from dfal_cli.system.fingerprints import canonical_json
from dfal_cli.system.state_files import read_json, write_json
from dfal_cli.tables import to_csv, write_csv

RESULTS, TIMINGS, CURVES, REPORT = OUTPUTS = ("results.csv", "timings.csv", "curves.png", "report.html")
ROUNDS, MADE_FROM, INPUT, CONTENTS = ".rounds", ".made_from", "input.json", "contents.json"
UNREADABLE = "unreadable.csv"
UNKNOWN = f"from what cannot be told any more ({MADE_FROM} is damaged)"
OWN = {*OUTPUTS, MADE_FROM, UNREADABLE}
"""What a simulation writes into the folder itself."""


def refuse_others(out: Path, made_from: Mapping[str, Any]) -> None:
    """Raises UsageError if the folder is that of another simulation, or has files of somebody else to be replaced."""
    before = _stored(out)
    if before is None:
        found = [name for name in (*OUTPUTS, UNREADABLE, ROUNDS) if (out / name).exists()]
        if found:
            raise UsageError(
                f"{out}: holds {' and '.join(found)} not of dfal simulate ({MADE_FROM} is not there); "
                "choose another --out, or --force to replace what is there"
            )
        return
    rounds = _rounds_in(out / ROUNDS)
    if before == _as_stored(made_from) or not (rounds or any((out / name).exists() for name in OUTPUTS)):
        return
    told = " and ".join(differences(before, _as_stored(made_from), CHANGE_TEXTS)) if before else UNKNOWN
    lost = f"discard its {rounds} rounds" if rounds else "replace its results"
    raise UsageError(f"{out}: made {told}; choose another --out, or --force to {lost}")


def written_in(out: Path) -> list[Path]:
    """The folder itself, and the files in it that a simulation may replace."""
    return [out, *(out / name for name in sorted(OWN))]


def claim(out: Path, made_from: Mapping[str, Any], *, force: bool) -> None:
    """Make the folder that of this simulation, empty unless it is so already. Raises as `refuse_others`."""
    if not force:
        refuse_others(out, made_from)
        if _stored(out) == _as_stored(made_from):
            return
    if (out / ROUNDS).exists():
        shutil.rmtree(out / ROUNDS)  # all of it, or the runs that stay would be taken for those of this one
    for name in OUTPUTS:
        (out / name).unlink(missing_ok=True)
    with atomic_output(out / MADE_FROM) as temporary:
        temporary.write_text(canonical_json(made_from) + "\n", encoding="utf-8")


def clear(out: Path, ended: Iterable[Run]) -> None:
    """Remove what a killed simulation left: files half written, and what runs that have ended needed no more."""
    remove_leftovers(out, OWN.__contains__)
    if (out / ROUNDS).exists():
        remove_leftovers(out / ROUNDS, lambda name: True)
    for run in ended:
        shutil.rmtree(out / ROUNDS / run.title, ignore_errors=True)


def remove_images(out: Path) -> None:
    """Remove the decoded images: there is nothing left to play."""
    for file in (out / ROUNDS).glob("images-*"):
        file.unlink()


def not_shown(out: Path, runs: Iterable[Run]) -> int:
    """How many runs that have ended are kept besides these."""
    return len({path.name for path in (out / ROUNDS).glob(f"*{ENDED}")} - {run.title + ENDED for run in runs})


def keep_input_shape(out: Path, shape: Shape) -> None:
    """Of what shape the images were made; they themselves are not kept."""
    write_json(out / ROUNDS / INPUT, shape)


def input_shape_of(out: Path) -> Shape | None:
    """(C, H, W) of the network's input; None if that is not known."""
    match read_json(out / ROUNDS / INPUT):
        case [int(channels), int(height), int(width)]:
            return channels, height, width
    return None


class Tables(NamedTuple):
    """All text, as it is written."""

    results: pd.DataFrame
    timings: pd.DataFrame


def tables_of(rounds: Iterable[Played]) -> Tables:
    """The rows of the rounds, in their order."""
    rows = [(played.result, played.timing) for played in rounds]
    return Tables(
        pd.DataFrame([result for result, _ in rows], columns=list(RESULTS_COLUMNS), dtype=str),
        pd.DataFrame([timing for _, timing in rows], columns=list(TIMINGS_COLUMNS), dtype=str),
    )


def write_so_far(out: Path, tables: Tables) -> None:
    """Write the tables while others are to come; curves and a report that show less would contradict them."""
    for name in (CURVES, REPORT):
        (out / name).unlink(missing_ok=True)
    write_csv(out / TIMINGS, tables.timings)
    write_csv(out / RESULTS, tables.results)


def write_all(
    out: Path, tables: Tables, settings: Mapping[str, str], measured_on: MeasuredOn, what_to_try: str
) -> tuple[list[Path], bool]:
    """Write tables, curves and report, unless they are there; return their paths, and whether anything was written."""
    outputs = [out / name for name in OUTPUTS]
    there = all(path.exists() for path in outputs)
    if there and _holds(out / RESULTS, tables.results) and _holds(out / TIMINGS, tables.timings):
        return outputs, False
    write_so_far(out, tables)
    results, timings = map(as_numbers, tables)
    write_curves(out / CURVES, results, measured_on.step)
    # The report is last: its presence says that all is there.
    write_report(out / REPORT, results, timings, settings, measured_on, what_to_try)
    return outputs, True


def _holds(path: Path, table: pd.DataFrame) -> bool:
    return path.read_bytes() == to_csv(table).encode()


def _stored(out: Path) -> dict[str, Any] | None:
    """What the folder's runs are made from; None if it is not of a simulation, {} if of one that did not say."""
    try:
        stored = json.loads((out / MADE_FROM).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return stored if isinstance(stored, dict) else {}


def _as_stored(made_from: Mapping[str, Any]) -> dict[str, Any]:
    """As it comes back from the file."""
    told: dict[str, Any] = json.loads(canonical_json(made_from))
    return told


def _rounds_in(folder: Path) -> int:
    """Rounds that would have to be played again."""
    ended = sum(len(rounds_in(path)) for path in folder.glob(f"*{ENDED}"))
    return ended + sum(map(_rounds_ended, folder.glob("*/")))


def _rounds_ended(run: Path) -> int:
    """In the folder of a run that has not."""
    return sum(round_in(path) is not None for path in run.glob(f"*/{DONE}"))

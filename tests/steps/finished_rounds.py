"""Rounds as `dfal status` finds them: scores, lists and results of trainings, made up."""

import json
from pathlib import Path
from typing import Any

import pytest

from dfal_cli.statistics.intervals import wilson_interval
from tests.conftest import Ended, dfal, draw_folder, write, write_margins

POOL = 40


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """images/ with 40 images; the test runs there."""
    return draw_folder(in_tmp)


def status(*arguments: object, labels: str = "labels.csv") -> Ended:
    """`dfal status`, which ends well."""
    ended = dfal("status", "--labels", labels, *arguments)
    assert ended.code == 0, ended.stderr
    return ended


def told(*arguments: object, labels: str = "labels.csv") -> dict[str, Any]:
    """What it prints with --json."""
    return status(*arguments, "--json", labels=labels).json


def write_round(
    number: int, labelled: int, test: float | None = None, images: int = 400, margin: float = 0.1, **scores: Any
) -> Path:
    """A round's folder: 40 scored images that are all predicted to be dark, and the results of a training."""
    folder = Path(f"rounds/{number:03d}")
    margins = {f"{place:03d}.png": margin + place / 1000 for place in range(POOL)}
    write_margins(folder / "scores.parquet", Path("images"), margins, **scores)
    results: dict[str, Any] = {"counts": {"labelled": labelled}, "seconds": 60.0}
    if test is not None:
        results["test"] = {"accuracy": test, "interval": wilson_interval(test, images), "examples": images}
    validation = {"accuracy": 0.5, "interval": [0.4, 0.6], "examples": labelled}
    results |= {"validation": validation, "validation_from": "cross-validation"}
    write(folder / "train.json", json.dumps(results))
    return folder


def write_list(folder: Path, *rows: str) -> None:
    """The query list of a round."""
    write(folder / "queries.csv", "image,label,control", *rows)


def curve(*accuracies: float, images: int = 20_000) -> None:
    """Rounds of 40 more labels each, with these accuracies on a test set."""
    write(Path("labels.csv"), "image,label", "039.png,dark")
    for number, accuracy in enumerate(accuracies, 1):
        write_round(number, 40 * number, accuracy, images)


def law(number: int) -> float:
    """The accuracy that follows a power law after so many rounds of 40 labels."""
    return 0.97 - 1.2 * (40 * number) ** -0.6

"""Eight people's answers merged into one labels file at once, some of the merges killed: no label is lost."""

import random
import time
from pathlib import Path

import pytest

from dfal_cli.tables import read_labels
from tests.conftest import write
from tests.reliability.commands import run, start

PEOPLE, EACH = 8, 5
AT_ONCE = ("--wait", 60)


def draw_lists(folder: Path) -> dict[str, str]:
    """Write labels.csv, with a column of the user's own, and a query list of each person; return all labels."""
    write(folder / "labels.csv", "image,label,seen by", "first.png,cat,Ada")
    labels = {"first.png": "cat"}
    for person in range(PEOPLE):
        answers = {f"{person}/{number}.png": ("cat", "dog")[number % 2] for number in range(EACH)}
        labels |= answers
        write(folder / f"{person}.csv", "image,label", *map(",".join, answers.items()))
    return labels


def merging(person: int) -> list[object]:
    return ["merge", "--queries", f"{person}.csv", "--labels", "labels.csv", "--allow-new-classes", *AT_ONCE]


@pytest.mark.parametrize("rounds", [4, pytest.param(50, marks=pytest.mark.long)])
def test_merges_at_once_of_which_some_are_killed_lose_no_label(tmp_path: Path, rounds: int) -> None:
    generator = random.Random(0)
    for number in range(rounds):
        folder = tmp_path / str(number)
        labels = draw_lists(folder)
        merges = [start(folder, merging(person), f"{number}-{person}.txt") for person in range(PEOPLE)]
        time.sleep(generator.uniform(0, 1))
        killed = generator.sample(range(PEOPLE), 2)
        for person in killed:
            merges[person].kill()
        for person, process in enumerate(merges):
            process.join()
            said = tmp_path / f"{number}-{person}.txt"  # not there if it was killed at once
            assert process.exitcode == 0 or person in killed, said.read_text()
        for person in killed:
            run(folder, merging(person))
        merged = read_labels(folder / "labels.csv")
        assert dict(zip(merged["image"], merged["label"], strict=True)) == labels
        assert merged["seen by"].tolist() == ["Ada"] + [""] * PEOPLE * EACH
        assert {path.name for path in folder.iterdir() if path.suffix != ".lock"} == {
            "labels.csv", *(f"{person}.csv" for person in range(PEOPLE)),
        }  # fmt: skip

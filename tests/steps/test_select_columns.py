"""select reads of a scores file only what its strategy sorts by: the list is that of the whole table all the same."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfal_cli.schemas import SCORES_COLUMNS
from dfal_cli.tables import read_queries, scores_table, write_scores
from tests.conftest import dfal, write

BY_MEASURE = {
    "dfal": ("margin", 1), "dfal-without-twins": ("margin", 1), "entropy": ("entropy", -1), "ceal": ("entropy", -1),
    "least-confidence": ("confidence", 1), "probability-gap": ("probability_gap", 1),
}  # fmt: skip
"""Strategy -> the measure, and the sign by which it is sorted."""
IMAGES = [f"{folder}/{letter}{number}.png" for folder in ("a", "b b", "é") for letter in "xÄ𝄞" for number in range(9)]
CLASSES = ["dark", "light"]


def random_table(seed: int) -> dict[str, list[Any]]:
    """81 scored images with few different values, some of them unknown, and some images skipped."""
    generator = np.random.default_rng(seed)

    def values(known: "np.ndarray[Any, Any]") -> list[float | None]:
        drawn = generator.integers(0, 6, len(IMAGES)) / 8
        return [float(value) if is_known else None for value, is_known in zip(drawn, known, strict=True)]

    outcomes = generator.choice(["crossed", "uncrossed", "skipped"], len(IMAGES), p=[0.6, 0.2, 0.2])
    table: dict[str, list[Any]] = {"image": sorted(IMAGES), "outcome": outcomes.tolist()}
    for name in ("confidence", "probability_gap", "entropy"):
        table[name] = values(generator.random(len(IMAGES)) < 0.9)
    table["margin"] = values(outcomes == "crossed")
    table["predicted"] = generator.choice(CLASSES, len(IMAGES)).tolist()
    table["crossing_class"] = [None] * len(IMAGES)
    table["iterations"] = generator.integers(0, 9, len(IMAGES)).tolist()
    table["twin"] = [f"twins/{image}.npy" if generator.random() < 0.5 else None for image in sorted(IMAGES)]
    return {name: table[name] for name in SCORES_COLUMNS}


def write_table(path: Path, table: dict[str, list[Any]], *, shuffled: bool = False, **metadata: Any) -> None:
    """Write the table in row groups of seven rows."""
    order = np.random.default_rng(0).permutation(len(IMAGES)) if shuffled else np.arange(len(IMAGES))
    groups = [order[start : start + 7].tolist() for start in range(0, len(order), 7)]
    tables = [scores_table({name: [cells[row] for row in rows] for name, cells in table.items()}) for rows in groups]
    write_scores(path, tables, {"image_root": None, "input_shape": [1, 4, 4], "norm": "l2"} | metadata)


def by_hand(table: dict[str, list[Any]], outside: set[str], measure: str, sign: int, count: int) -> list[int]:
    """The rows of the list, from a sort of all rows by value and path; unknown values last."""

    def key(row: int) -> tuple[float, str]:
        value = table[measure][row]
        return (math.inf if value is None else sign * value, table["image"][row])

    return sorted((row for row, image in enumerate(table["image"]) if image not in outside), key=key)[:count]


@pytest.mark.parametrize("strategy", BY_MEASURE)
@pytest.mark.parametrize(("file", "shuffled"), [("s.parquet", False), ("s.parquet", True), ("s.csv", False)])
def test_the_list_is_that_of_sorting_all_rows(in_tmp: Path, strategy: str, file: str, shuffled: bool) -> None:
    measure, sign = BY_MEASURE[strategy]
    for seed, count in ((0, 1), (1, 20), (2, 60), (3, 200)):
        table = random_table(seed)
        write_table(in_tmp / file, table, shuffled=shuffled)
        drawn = np.random.default_rng(seed).permutation(IMAGES).tolist()
        write(in_tmp / "labels.csv", "image,label", *(f"{image},dark" for image in drawn[:5]), f"{drawn[5]},")
        write(in_tmp / "exclude.csv", "image", *drawn[6:15])
        rows = by_hand(table, {*drawn[:5], *drawn[6:15]}, measure, sign, count)
        out = f"{seed}.csv"
        ended = dfal(
            "select", "--scores", file, "--labels", "labels.csv", "--exclude", "exclude.csv", "--strategy", strategy,
            "--count", count, "--with-predictions", "--out", out,
        )  # fmt: skip
        assert ended.code == 0, ended.stderr
        queries = read_queries(in_tmp / out)
        assert queries["image"].tolist() == [table["image"][row] for row in rows]
        assert queries["predicted"].tolist() == [table["predicted"][row] for row in rows]
        for name in {"margin", measure}:
            known = [table[name][row] for row in rows]
            assert queries[name].tolist() == ["" if value is None else str(value) for value in known]
        twins = [table["twin"][row] or "" for row in rows]
        assert queries["twin"].tolist() == ([""] * len(rows) if strategy == "dfal-without-twins" else twins)


def test_a_wrong_value_of_an_image_on_the_list_is_refused_with_its_row(in_tmp: Path) -> None:
    table = random_table(0)
    table["margin"] = [row / 8 for row in range(len(IMAGES))]
    table["predicted"][30] = "unheard of"
    write_table(in_tmp / "s.parquet", table, classes=CLASSES)
    assert dfal("select", "--scores", "s.parquet", "--count", 30, "--out", "q.csv").code == 0
    ended = dfal("select", "--scores", "s.parquet", "--count", 31, "--out", "r.csv")
    assert ended.code == 3
    assert "s.parquet, row 31: predicted 'unheard of' is not among the classes" in ended.stderr.replace("\n", " ")

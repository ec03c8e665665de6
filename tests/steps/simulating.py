"""Simulations on a tiny folder, as several files of tests run them."""

from pathlib import Path

from tests.conftest import Ended, dfal

SETTINGS = (
    "--initial",
    4,
    "--count",
    3,
    "--budget",
    8,
    "--epochs",
    1,
    "--seed",
    7,
    "--device",
    "cpu",
    "--jobs",
    1,
    "--quiet",
)


def simulate(root: Path, out: str, *arguments: object) -> Ended:
    """Of a folder as `draw_divided_folder` makes it: images/, pool.csv, test.csv."""
    files = ("--images", root / "images", "--labels", root / "pool.csv", "--test", root / "test.csv")
    return dfal("simulate", *files, "--out", root / out, *SETTINGS, *arguments)

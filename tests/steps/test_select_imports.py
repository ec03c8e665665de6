"""select, merge and --help start at once: they import neither torch nor what else they do not need."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.conftest import write_margins
from tests.steps.test_select import MARGINS, answer, house

__all__ = ["house"]

LOADED = """
import sys
from dfal_cli.cli import main
try:
    main()
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""


def modules_after(*arguments: str) -> set[str]:
    """The modules that a command loads, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    return set(done.stderr.splitlines()[-1].split())


HEAVY = {"torch", "torchvision", "safetensors", "sklearn", "scipy"}


def test_select_without_embeddings_and_merge_load_neither_torch_nor_scikit_learn(house: Path) -> None:
    np.save("t.npy", np.zeros((1, 16, 16), np.float32))
    write_margins(house / "scores.parquet", house / "images", MARGINS, twin=["t.npy"] * 6)
    loaded = modules_after(
        "select", "--scores", "scores.parquet", "--count", "2", "--out", "q.csv", "--preview", "p.html"
    )
    assert "pandas" in loaded
    assert not loaded & HEAVY
    answer("q.csv", "dark", "light")
    assert not modules_after("merge", "--queries", "q.csv", "--labels", "l.csv") & HEAVY


def test_help_loads_neither_torch_nor_pandas(house: Path) -> None:
    for arguments in (["--help"], ["train", "--help"], ["select", "-h"]):
        assert not modules_after(*arguments) & {"torch", "torchvision", "pandas", "numpy", "pyarrow"}

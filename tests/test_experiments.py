"""The experiments: the committed results are those that their README shows, and their scripts run."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from dfal_cli.models import build_network
from dfal_cli.schemas import RESULTS_COLUMNS, TIMINGS_COLUMNS
from dfal_cli.steps.simulate.runs import COLUMNS_ADDED
from tests.conftest import draw_folder, write
from tests.experiments.head_tables import share_of_labels

EXPERIMENTS = Path(__file__).parent / "experiments"
SCRIPTS = sorted(EXPERIMENTS.glob("*/run.sh"))
RESULTS = sorted(EXPERIMENTS.glob("**/results.csv"))


@pytest.mark.parametrize("results", RESULTS, ids=lambda path: path.parent.name)
def test_results_come_with_their_timings_and_picture(results: Path) -> None:
    table = pd.read_csv(results)
    assert tuple(table.columns) in (RESULTS_COLUMNS, RESULTS_COLUMNS[:-COLUMNS_ADDED])  # older results lack columns
    assert tuple(pd.read_csv(results.with_name("timings.csv")).columns) == TIMINGS_COLUMNS
    assert results.with_name("curves.png").exists()
    assert table.groupby(["strategy", "trial"]).size().nunique() == 1, "every run has all of its rounds"
    beginnings = table[table["round"] == 0].groupby("trial")[["accuracy", "loss"]].nunique()
    assert (beginnings == 1).all(axis=None), "the runs of a trial begin with the same network on the same labels"


def test_every_experiment_is_named_in_the_readme() -> None:
    text = (EXPERIMENTS / "README.md").read_text(encoding="utf-8")
    assert [script.parent.name for script in SCRIPTS if f"`{script.parent.name}`" not in text] == []


def test_the_tables_of_the_readme_are_those_of_the_results() -> None:
    cog = pytest.importorskip("cogapp")
    readme = EXPERIMENTS / "README.md"
    assert cog.Cog().main(["cog", "--check", "-I", str(EXPERIMENTS), str(readme)]) == 0


def test_gissins_network_has_the_layers_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights and biases: 3x3x32 + 32, 3x3x32x64 + 64, 5x5x64x128 + 128, 128x10 + 10."""
    monkeypatch.chdir(EXPERIMENTS)
    network = build_network("networks:gissin", 10, (1, 28, 28))
    assert sum(weight.numel() for weight in network.parameters()) == 320 + 18_496 + 204_928 + 1_290
    assert network(torch.zeros(1, 1, 28, 28)).shape == (1, 10)


@pytest.mark.slow
def test_an_experiment_runs_on_what_prepare_has_made(tmp_path: Path) -> None:
    """`mnist_batch100` as it stands, but for a small budget, on a data set of its own in the form that it wants."""
    data = tmp_path / "data"
    draw_folder(data / "mnist", each=12)
    images = sorted(path.relative_to(data / "mnist" / "images").as_posix() for path in data.glob("mnist/images/*.png"))
    rows = [f"images/{image},{'dark' if place % 2 else 'light'}" for place, image in enumerate(images)]
    write(data / "mnist_train.csv", "image,label", *rows[:18])
    write(data / "mnist_test.csv", "image,label", *rows[18:])
    copy = tmp_path / "experiments"
    (copy / "mnist_batch100").mkdir(parents=True)
    for name in ("simulate.sh", "networks.py", "mnist_batch100/run.sh"):
        (copy / name).write_text((EXPERIMENTS / name).read_text())
    small = ["--initial", "4", "--count", "1", "--budget", "5", "--trials", "1", "--epochs", "1", "--quiet"]
    environment = os.environ | {"DATA": "data", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["bash", copy / "mnist_batch100" / "run.sh", *small]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=600)
    assert len(pd.read_csv(copy / "mnist_batch100" / "results.csv")) == 12 * 2


def test_the_share_of_labels_is_where_the_mean_curve_reaches_the_mean_accuracy_of_random() -> None:
    rows = [
        (strategy, trial, count, count * slope + 0.001 * trial)
        for strategy, slope in (("random", 0.005), ("quick", 0.01), ("slow", 0.001))
        for trial in range(1, 6)
        for count in (20, 40, 60, 80, 100)
    ]
    results = pd.DataFrame(rows, columns=["strategy", "trial", "annotations", "accuracy"])
    assert share_of_labels(results, "quick", 100) == pytest.approx((0.5, 0.5, 0.5))
    assert share_of_labels(results, "quick", 60) == pytest.approx((0.5, 0.5, 0.5))
    assert share_of_labels(results, "slow", 100) == (math.inf, math.inf, math.inf)
    assert share_of_labels(results, "quick", 20) == pytest.approx((1.0, 1.0, 1.0)), "not extrapolated"

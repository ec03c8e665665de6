"""simulate: what is played in a round, in which order and by whom."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from dfal_cli.steps.result import Result
from dfal_cli.steps.simulate import rounds
from dfal_cli.steps.simulate.runs import RoundResult, RoundTask, Simulation
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.strategies import STRATEGIES
from tests.conftest import draw_divided_folder
from tests.page import Page
from tests.steps.simulating import SETTINGS, simulate


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, pool.csv (16 of them) and test.csv (the other 8)."""
    return draw_divided_folder(tmp_path_factory.mktemp("rounds"))


def test_every_strategy_can_be_played(house: Path) -> None:
    assert simulate(house, "all", "--strategies", ",".join(STRATEGIES)).code == 0
    results = pd.read_csv(house / "all" / "results.csv")
    assert set(results["strategy"]) == set(STRATEGIES)
    for _, rows in results.groupby("strategy"):
        assert rows["annotations"].tolist() == [4, 7, 8]  # pseudo-labels are no annotations


def losses_of(root: Path, out: str, strategies: str, *further: object) -> pd.DataFrame:
    """A row a round, a column a strategy."""
    assert simulate(root, out, "--strategies", strategies, *further).code == 0
    return pd.read_csv(root / out / "results.csv").pivot(index="round", columns="strategy", values="loss")


def test_twins_reach_the_training_of_the_next_round(house: Path) -> None:
    losses = losses_of(house, "twins", "dfal,dfal-without-twins", "--epochs", 3)
    assert (losses["dfal"] == losses["dfal-without-twins"]).tolist() == [True, False, False]


def test_pseudo_labels_reach_the_training_of_the_next_round(house: Path) -> None:
    losses = losses_of(house, "pseudo", "ceal,entropy", "--epochs", 25, "--patience", 25, "--lr", 0.01)
    # The first network is sure of no image yet, the second one is of some.
    assert (losses["ceal"] == losses["entropy"]).tolist() == [True, True, False]


def test_another_network_can_be_measured_on_the_queries_of_one(house: Path) -> None:
    assert simulate(house, "measured", "--strategies", "entropy", "--arch", "lenet5", "--train-arch", "vgg8").code == 0
    assert simulate(house, "same", "--strategies", "entropy", "--arch", "lenet5").code == 0
    assert simulate(house, "both", "--strategies", "entropy", "--arch", "vgg8").code == 0
    other, same, both = (pd.read_csv(house / name / "results.csv") for name in ("measured", "same", "both"))
    assert (other["label_entropy"] == same["label_entropy"]).all(), "the queries are those of --arch"
    assert (other["loss"] != same["loss"]).all()
    assert other["loss"][0] == both["loss"][0]


def test_a_network_that_queries_nothing_is_not_trained(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str | None] = []

    def noted(options: TrainOptions, *further: Any, **settings: Any) -> Result:
        trained.append(options.arch)
        return train(options, *further, **settings)

    monkeypatch.setattr(rounds, "train", noted)  # OMP_NUM_THREADS is 1 here: rounds are played in this process
    asked = simulate(house, "asked", "--strategies", "entropy,random", "--arch", "lenet5", "--train-arch", "vgg8")
    assert asked.code == 0, asked.stderr
    assert Counter(trained) == {"lenet5": 2, "vgg8": 6}, "two of entropy's three rounds ask"


WITHOUT_TORCH = """
import sys
from dfal_cli.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code
print("torch" in sys.modules)
"""


@pytest.mark.parametrize(("device", "threads"), [("cpu", "2"), ("auto", "2"), ("auto", "1")])
def test_the_process_that_waits_for_the_others_does_not_import_torch(house: Path, device: str, threads: str) -> None:
    files = ("--images", house / "images", "--labels", house / "pool.csv", "--test", house / "test.csv")
    out = house / f"light-{device}-{threads}"
    command = ("simulate", *files, *SETTINGS, "--out", out, "--strategies", "random,entropy")
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, command), "--device", device, "--jobs", "2"],
        capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": threads},
    )  # fmt: skip
    assert ended.stdout.splitlines()[-1] == "False"
    expected = torch.cuda.get_device_name() if device == "auto" and torch.cuda.is_available() else "cpu"
    assert Page(out / "report.html").settings()["device"] == expected


def test_trial_comes_after_trial_and_its_strategies_keep_pace(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[tuple[int, int, str]] = []
    play = rounds.play

    def noted(simulation: Simulation, turn: RoundTask) -> Iterator[RoundResult]:
        played.append((turn.trial, turn.number, turn.name))
        return play(simulation, turn)

    monkeypatch.setattr(rounds, "play", noted)
    assert simulate(house, "paced", "--strategies", "random,entropy", "--trials", 2).code == 0
    names = ("random", "entropy")
    assert played == [(trial, number, name) for trial in (1, 2) for number in range(3) for name in names]


def test_all_strategies_including_random_choose_from_the_same_candidates(house: Path) -> None:
    names = ("--strategies", "random,entropy,dfal-without-twins", "--trials", 6, "--budget", 7)
    assert simulate(house, "few", *names, "--candidates", 3).code == 0
    results = pd.read_csv(house / "few" / "results.csv")
    second = results[results["round"] == 1]
    assert len(second) == 18
    for _, rows in second.groupby("trial"):
        assert rows["label_entropy"].nunique() == 1, "of three candidates all three are asked about"
    assert second["label_entropy"].nunique() > 1

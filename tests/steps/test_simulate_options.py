"""simulate: what is asked of training and of margins reaches every round."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dfal_cli.steps.result import Result
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.simulate import rounds
from dfal_cli.steps.simulate.networks import FOR_HEADS
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.steps.train.options import TrainOptions
from tests.conftest import dfal, draw_divided_folder

TRAINING: dict[str, Any] = {
    "arch": "lenet5", "image_size": 20, "grey": False, "epochs": 2, "patience": 1, "monitor": "accuracy",
    "restarts": 2, "batch_size": 4, "lr": 0.01, "validation_fraction": 0.3, "augment": "flip", "workers": 0,
    "white": 255.0,
}  # fmt: skip
MARGIN: dict[str, Any] = {
    "candidates": 9, "classes": 2, "max_iterations": 7, "overshoot": 0.05, "clip": True, "workers": 0,
}  # fmt: skip

OF_THE_ROUND = {
    "images", "labels", "labels_from_folders", "follow_links", "test", "out", "seed", "device", "force", "wait",
}  # fmt: skip
"""Not as told: each round has its own, or they are of the whole simulation."""


def on_the_command_line(given: dict[str, Any]) -> list[object]:
    flags: list[object] = []
    for name, value in given.items():
        option = "color" if name == "grey" else name.replace("_", "-")
        flags += [f"--{option}"] if isinstance(value, bool) else [f"--{option}", value]
    return flags


@pytest.mark.parametrize("measured_by", [{"norm": "linf"}, {"estimator": "refined"}], ids=["norm", "estimator"])
def test_each_option_reaches_the_training_and_the_margins_of_a_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured_by: dict[str, Any]
) -> None:
    root = draw_divided_folder(tmp_path)
    reached: dict[str, Any] = {}

    def noting(step: Callable[..., Result]) -> Callable[..., Result]:
        def noted(options: Any, *further: Any, **settings: Any) -> Result:
            reached[step.__name__] = options
            return step(options, *further, **settings)

        return noted

    for step in (rounds.train, rounds.score):  # OMP_NUM_THREADS is 1 here: rounds are played in this process
        monkeypatch.setattr(rounds, step.__name__, noting(step))
    files = ("--images", root / "images", "--labels", root / "pool.csv", "--test", root / "test.csv")
    small = ("--strategies", "dfal", "--initial", 6, "--count", 2, "--budget", 8, "--device", "cpu", "--jobs", 1)
    given = on_the_command_line(TRAINING | MARGIN | measured_by)
    ended = dfal("simulate", *files, "--out", tmp_path / "out", *small, *given, "--quiet")
    assert ended.code == 0, ended.stderr
    for step_name, told in (("train", TRAINING), ("score", MARGIN | measured_by)):
        assert {name: getattr(reached[step_name], name) for name in told} == told


def test_no_option_that_simulate_shares_with_a_step_is_left_out_above() -> None:
    shared = {field.name for field in fields(SimulateOptions)} - OF_THE_ROUND - FOR_HEADS
    assert shared & {field.name for field in fields(TrainOptions)} == TRAINING.keys()
    scoring = {field.name for field in fields(ScoreOptions)} - {"arch", "batch_size"}  # those of a training are others
    assert shared & scoring == MARGIN.keys() | {"norm", "estimator"}
    assert {name for name, value in (TRAINING | MARGIN).items() if getattr(SimulateOptions, name) == value} == set()

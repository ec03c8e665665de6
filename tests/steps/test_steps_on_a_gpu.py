"""Every step that computes on a device gives the results of the CPU on a GPU, which is only pretended."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from dfal_cli.errors import TryAgainError
from dfal_cli.steps.result import Result
from dfal_cli.steps.simulate import rounds
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system import device
from dfal_cli.system.device import KeptPixels
from dfal_cli.system.fingerprints import fingerprint
from dfal_cli.training.state import State, TrainingState
from tests.conftest import Ended, dfal, write
from tests.pretended_gpu import PretendedGpu

CLASSES = ("left", "middle", "right")
IMAGES = [f"{number:02d}.png" for number in range(60)]
BACKBONE = """
import torch
from torch import nn

def backbone(input_shape):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()
    )
"""
PRETRAINED = ("--arch", "on_a_gpu:backbone", "--image-size", 16)
BEGINNINGS: tuple[tuple[object, ...], ...] = (
    ("--labels", "labels.csv", "--arch", "lenet5", "--epochs", 2, "--out", "lenet5.safetensors"),
    ("--labels", "labels.csv", "--freeze", *PRETRAINED, "--out", "head.safetensors"),
)
"""Trainings that other commands begin with, always on the CPU."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty grey images of three classes, 24 of them labelled and 12 others a test set; two checkpoints."""
    root = tmp_path_factory.mktemp("gpu")
    generator = np.random.default_rng(0)
    (root / "images").mkdir()
    for number, name in enumerate(IMAGES):
        pixels = generator.integers(0, 80, (16, 16)).astype(np.uint8)
        pixels[:, 5 * (number % 3) : 5 * (number % 3) + 5] += 100
        Image.fromarray(pixels).save(root / "images" / name)
    rows = [f"{name},{CLASSES[number % 3]}" for number, name in enumerate(IMAGES)]
    for name, part in {"labels": rows[:24], "test": rows[24:36], "oracle": rows[:24] + rows[36:]}.items():
        write(root / f"{name}.csv", "image,label", *part)
    write(root / "on_a_gpu.py", BACKBONE)
    return root


@pytest.fixture
def project(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as the working directory; nothing is on a GPU yet."""
    monkeypatch.chdir(made)
    monkeypatch.setattr(device, "_kept", {})
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # then `simulate --jobs 1` needs no other process
    for training in BEGINNINGS:
        if not Path(str(training[-1])).exists():
            run("cpu", "train", *training)
    return made


def run(on: str, command: str, *arguments: object) -> Ended:
    ended = dfal(command, "--images", "images", *arguments, "--device", on, "--quiet", "--force")
    assert ended.code == 0, ended.stderr
    return ended


def on_both(*command: object, out: str) -> tuple[Path, Path]:
    """What the command writes on the CPU, where it is called once, and on a GPU."""
    outputs = Path(f"cpu-{fingerprint(command)}-{out}"), Path(f"gpu-{out}")
    name, *arguments = map(str, command)
    if not outputs[0].exists():
        run("cpu", name, *arguments, "--out", outputs[0])
    with PretendedGpu() as gpu:
        run("cuda", name, *arguments, "--out", outputs[1])
        assert gpu.copied
    return outputs


def assert_equal(
    one: pd.DataFrame, other: pd.DataFrame, ignored: Sequence[str] = (), tolerance: float = 1e-3
) -> None:  # fmt: skip
    """The same columns, numbers within rounding."""
    assert list(one) == list(other)
    for name in set(one).difference(ignored):
        cells = [np.stack(table[name].tolist()) for table in (one, other)]
        if cells[0].dtype.kind == "f":
            np.testing.assert_allclose(*cells, rtol=tolerance, atol=1e-5, err_msg=name)
        else:
            assert cells[0].tolist() == cells[1].tolist(), name


@pytest.mark.parametrize(
    "further",
    [
        ("--arch", "lenet5", "--augment", "photo", "--epochs", 3, "--validation", "test.csv", "--restarts", 2),
        ("--freeze", *PRETRAINED, "--validation", "test.csv"),
        ("--finetune", *PRETRAINED, "--epochs", 2),
    ],
    ids=["from scratch", "freeze", "finetune"],
)
def test_train(project: Path, further: tuple[object, ...]) -> None:
    command = ("train", "--labels", "labels.csv", "--test", "test.csv", "--pseudo-labels", "pseudo.csv", *further)
    write(Path("pseudo.csv"), "image,pseudo_label", "40.png,middle", "41.png,right")
    outputs = on_both(*command, out="trained.safetensors")
    tensors = [load_file(path) for path in outputs]
    assert tensors[0].keys() == tensors[1].keys()
    for name, value in tensors[0].items():
        np.testing.assert_allclose(value, tensors[1][name], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("checkpoint", "further"),
    [
        ("lenet5", ("--nearest", 10, "--twins", 5, "--measure", "bald", "--measure", "egl")),
        ("lenet5", ("--estimator", "refined", "--norm", "linf", "--clip", "--classes", 2)),
        ("head", ("--nearest", 10, "--twins", 5, "--measure", "embedding", "--measure", "probabilities")),
    ],
    ids=["nearest", "whole pool", "head"],
)
def test_score(project: Path, checkpoint: str, further: tuple[object, ...]) -> None:
    command = ("score", "--labels", "labels.csv", "--checkpoint", f"{checkpoint}.safetensors", "--trust-code")
    outputs = on_both(*command, *further, out="scores.parquet")
    tables = [pd.read_parquet(path) for path in outputs]
    assert tables[0]["outcome"].eq("crossed").any()
    # 0.99 times a refined perturbation has not crossed: that is how precise it is
    assert_equal(*tables, ignored=["twin", "iterations"], tolerance=1e-3 if "refined" not in further else 1.1e-2)


@pytest.mark.parametrize("checkpoint", ["lenet5", "head"])
def test_predict(project: Path, checkpoint: str) -> None:
    command = ("predict", "--checkpoint", f"{checkpoint}.safetensors", "--trust-code", "--probabilities")
    outputs = on_both(*command, "--calibrate", "test.csv", out="predictions.csv")
    assert_equal(*map(pd.read_csv, outputs))


@pytest.mark.parametrize("checkpoint", ["lenet5", "head"])
def test_evaluate(project: Path, checkpoint: str) -> None:
    command = ("--checkpoint", f"{checkpoint}.safetensors", "--trust-code", "--test", "test.csv", "--json")
    expected = run("cpu", "evaluate", *command).json
    with PretendedGpu() as gpu:
        found = run("cuda", "evaluate", *command).json
        assert gpu.copied
    assert found["test"]["confusion"] == expected["test"]["confusion"]
    assert found["test"]["loss"] == pytest.approx(expected["test"]["loss"], rel=1e-3)


def test_embed(project: Path) -> None:
    outputs = on_both("embed", "--backbone", "on_a_gpu:backbone", "--image-size", 16, out="embeddings.parquet")
    assert_equal(*map(pd.read_parquet, outputs))


def test_review(project: Path) -> None:
    rows = Path("labels.csv").read_text().splitlines()
    wrong = [rows[0], *(row.replace("left", "right") for row in rows[1:4]), *rows[4:]]
    write(Path("wrong.csv"), *wrong)
    outputs = on_both("review", "--labels", "wrong.csv", "--arch", "lenet5", "--epochs", 5, "--count", 9, out="r.csv")
    assert_equal(*map(pd.read_csv, outputs))


def simulated_on_both(*further: object) -> list[pd.DataFrame]:
    """The results of two rounds with queries and a last one without."""
    settings = ("--initial", 8, "--count", 4, "--budget", 16, "--trials", 1, "--jobs", 1, *further)
    outputs = on_both("simulate", "--labels", "oracle.csv", "--test", "test.csv", *settings, out="simulated")
    return [pd.read_csv(path / "results.csv") for path in outputs]


NETWORKS = ("--arch", "lenet5", "--epochs", 1, "--strategies", "dfal")


def test_simulate_copies_each_image_of_the_pool_to_the_gpu_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    copied = []

    def images_of(kept: KeptPixels, rows: np.ndarray, pixels: np.ndarray) -> torch.Tensor:
        copied.extend(rows[~kept._is_there[rows]].tolist())
        return of(kept, rows, pixels)

    of = KeptPixels.of
    monkeypatch.setattr(KeptPixels, "of", images_of)
    assert_equal(*simulated_on_both(*NETWORKS))
    assert len(copied) == len(set(copied)) == 40, "48 images, less 8 that are labelled in the beginning"


def test_simulate_trains_again_without_the_images_on_the_gpu_if_its_memory_runs_out(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def train_or_fail(options: TrainOptions, *further: Any, **settings: Any) -> Result:
        held.append(any(device._kept.values()))
        if held[-1]:  # in the second round on the GPU
            raise TryAgainError("out of memory")
        return train(options, *further, **settings)

    monkeypatch.setattr(rounds, "train", train_or_fail)
    assert_equal(*simulated_on_both(*NETWORKS))
    assert held[-4:] == [False, True, False, False]


def test_simulate_with_heads(project: Path) -> None:
    assert_equal(*simulated_on_both("--freeze", *PRETRAINED, "--strategies", "dfal"))


def test_train_is_resumed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = TrainingState.write_now_and_then

    def end_after_two_epochs(state: TrainingState, content: Callable[[], State]) -> None:
        if len(content()[1]["course"]["history"]) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        offered(state, content)

    def trained(out: str) -> Ended:
        return dfal(
            "train", "--images", "images", "--labels", "labels.csv", "--arch", "lenet5", "--epochs", 4, "--patience", 4,
            "--device", "cuda", "--out", out,
        )  # fmt: skip

    with PretendedGpu():
        through = trained("through.safetensors")
        with monkeypatch.context() as patch:
            patch.setattr(TrainingState, "write_now_and_then", end_after_two_epochs)
            assert trained("resumed.safetensors").code == 143
        resumed = trained("resumed.safetensors")
    assert (through.code, resumed.code) == (0, 0), resumed.stderr
    assert "resuming after epoch 2" in resumed.stderr
    assert Path("resumed.safetensors").read_bytes() == Path("through.safetensors").read_bytes()

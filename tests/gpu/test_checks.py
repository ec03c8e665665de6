"""The checks of a GPU find nothing wrong with the pretended one."""

from pathlib import Path

import pytest
import torch

from tests.gpu.finding import Setting
from tests.gpu.memory import MEMORY
from tests.gpu.parity import PARITY
from tests.pretended_gpu import PretendedGpu

SHORT = ("twins", "scores", "copies", "resuming")


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    made = Setting(torch.device("cuda"), tmp_path_factory.mktemp("gpu"), small=True)
    made.network()
    return made


@pytest.mark.parametrize("name", SHORT)
def test_a_check_passes_on_the_pretended_gpu(setting: Setting, name: str) -> None:
    with PretendedGpu():
        assert {**PARITY, **MEMORY}[name](setting).passed


def test_a_check_finds_a_gpu_that_computes_something_else(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.gpu.parity._scored", lambda setting, device: _other(setting.folder, device))
    with PretendedGpu():
        assert not PARITY["scores"](setting).passed


def _other(folder: Path, device: str) -> Path:
    """Scores of the pretended GPU; for the CPU, the same with another entropy."""
    import pandas as pd

    path = folder / f"other-{device}.parquet"
    table = pd.read_parquet(folder / "scores-cuda.parquet")
    table["entropy"] += 0.1 * (device == "cpu")
    table.to_parquet(path)
    return path

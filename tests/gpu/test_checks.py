"""The checks of a GPU find nothing wrong with the pretended one, and their results are told."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.gpu import __main__ as program
from tests.gpu.finding import Finding, Setting
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
        assert program.CHECKS[name](setting).passed


def test_a_check_finds_a_gpu_that_computes_something_else(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.gpu.parity._scored", lambda setting, device: _other(setting.folder, device))
    with PretendedGpu():
        assert not PARITY["scores"](setting).passed


def _other(folder: Path, device: str) -> Path:
    """Scores of the pretended GPU; for the CPU, the same with another entropy."""
    path = folder / f"other-{device}.parquet"
    table = pd.read_parquet(folder / "scores-cuda.parquet")
    table["entropy"] += 0.1 * (device == "cpu")
    table.to_parquet(path)
    return path


def test_a_team_of_one_rank_trains_as_one_process_does(setting: Setting) -> None:
    on_cpu = Setting(torch.device("cpu"), setting.folder, small=True)
    assert program.CHECKS["team"](on_cpu).passed


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *further: str) -> tuple[int, dict[str, bool | None]]:
    """Run the program with checks of its own; return the exit code, and what results.json says of each."""

    def fails(setting: Setting) -> Finding:
        raise RuntimeError("broken")

    good = Finding(np.bool_(True), "as it should be", {"n": np.int64(1)})
    checks = {"good": lambda setting: good, "absent": lambda setting: Finding(None, "1 GPU"), "bad": fails}
    monkeypatch.setattr(program, "CHECKS", checks)
    monkeypatch.setattr("sys.argv", ["tests.gpu", "--device", "cpu", "--out", str(out), *further])
    code = program.main()
    found = json.loads((out / "results.json").read_text())["checks"]
    rows = [row.split(" | ")[1] for row in (out / "results.md").read_text().splitlines()[4:]]
    assert len(rows) == len(found)
    return code, {name: each["passed"] for name, each in found.items()}


def test_results_are_written_and_a_failed_check_is_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, tmp_path) == (1, {"good": True, "absent": None, "bad": False})
    assert run(monkeypatch, tmp_path, "--only", "good", "absent") == (0, {"good": True, "absent": None})


def test_checks_for_which_no_time_is_left_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, tmp_path, "--minutes", "0") == (0, {"good": None, "absent": None, "bad": None})

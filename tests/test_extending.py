"""The changes that dfal_cli/docs/extending.md shows: each is applied to a copy of the package, and works there."""

import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Ended, dfal_process, write, write_margins

ROOT = Path(__file__).parents[1]
DIFFS = Path(__file__).parent / "data" / "extending"


class Extended:
    """A copy of the package with a change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def apply(self, name: str) -> None:
        """Copy the package and change it as `name`.diff says."""
        shutil.copytree(ROOT / "dfal_cli", self._folder / "dfal_cli", ignore=shutil.ignore_patterns("__pycache__"))
        diff = DIFFS / f"{name}.diff"
        done = subprocess.run(["git", "apply", diff], cwd=self._folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{diff.name} no longer fits the code, change it as well: {done.stderr}"

    def dfal(self, *arguments: object) -> Ended:
        """Run a command of the copy."""
        return dfal_process(*arguments, cwd=self._folder)


@pytest.fixture
def extended(tmp_path: Path, request: pytest.FixtureRequest) -> Extended:
    made = Extended(tmp_path)
    made.apply(request.param)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("extended", ["strategy"], indirect=True)
def test_a_strategy_is_a_function_and_an_entry(extended: Extended, trained: Path, tmp_path: Path) -> None:
    margins = {path.name: number / 8 for number, path in enumerate(sorted((trained / "images").iterdir()))}
    scores = write_margins(tmp_path / "scores.parquet", trained / "images", margins)
    selecting = ("select", "--scores", scores, "--count", 3, "--strategy", "dfal-sampled")
    assert extended.dfal(*selecting, "--out", tmp_path / "queries.csv").code == 0
    assert pd.read_csv(tmp_path / "queries.csv")["margin"].lt(30 / 8).sum() == 3


@pytest.mark.slow
@pytest.mark.parametrize("extended", ["measure"], indirect=True)
def test_a_measure_is_a_function_and_an_entry(extended: Extended, trained: Path, tmp_path: Path) -> None:
    data = ("--images", trained / "images", "--labels", trained / "labels.csv")
    scoring = ("score", *data, "--checkpoint", trained / "model.safetensors", "--nearest", 0, "--measure", "gini")
    ended = extended.dfal(*scoring, "--out", tmp_path / "scores.csv")
    assert ended.code == 0, ended.stderr
    assert pd.read_csv(tmp_path / "scores.csv")["gini"].between(0, 0.5).all()


@pytest.mark.slow
@pytest.mark.parametrize("extended", ["network"], indirect=True)
def test_a_network_is_a_function_and_an_entry(extended: Extended, trained: Path, tmp_path: Path) -> None:
    data = ("--images", trained / "images", "--labels", trained / "labels.csv")
    training = ("train", *data, "--arch", "mlp", "--epochs", 1, "--json")
    ended = extended.dfal(*training, "--out", tmp_path / "model.safetensors")
    assert ended.code == 0, ended.stderr
    assert json.loads(ended.stdout)["status"] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("extended", ["backbone"], indirect=True)
def test_a_backbone_is_a_source_and_an_entry(extended: Extended, trained: Path, tmp_path: Path) -> None:
    embedding = ("embed", "--images", trained / "images", "--backbone", "grid", "--json")
    ended = extended.dfal(*embedding, "--out", tmp_path / "embeddings.parquet")
    assert ended.code == 0, ended.stderr
    assert ended.json["dimension"] == 192


@pytest.mark.slow
@pytest.mark.parametrize("extended", ["option"], indirect=True)
def test_an_option_is_a_field_and_its_use_and_a_key_of_the_configuration_file(
    extended: Extended, tmp_path: Path
) -> None:
    margins = {f"{number}.png": number / 8 for number in range(4)}
    for image in margins:
        (tmp_path / image).touch()
    predicted = ["dark", "light", "dark", "light"]
    scores = write_margins(tmp_path / "scores.parquet", tmp_path, margins, predicted=predicted)
    config = write(tmp_path / "dfal.yaml", "select:", "  predicted: light")
    selecting = ("select", "--scores", scores, "--count", 2, "--config", config, "--out", tmp_path / "queries.csv")
    ended = extended.dfal(*selecting)
    assert ended.code == 0, ended.stderr
    assert pd.read_csv(tmp_path / "queries.csv")["image"].tolist() == ["1.png", "3.png"]
    assert "--predicted" in extended.dfal(*selecting, "--predicted", "dark").stderr, "another list is in the way"


@pytest.mark.slow
@pytest.mark.parametrize("extended", ["command"], indirect=True)
def test_a_command_is_an_options_class_a_step_and_an_entry(extended: Extended, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", "image,label", "a.png,dark", "b.png,light", "c.png,dark")
    assert extended.dfal("classes", "--labels", labels, "--json").json["counts"] == {"dark": 2, "light": 1}
    assert extended.dfal("classes", "--labels", tmp_path / "none.csv").code == 2

"""What the tests share: small image folders, and the commands run as a user does, in this process or in their own."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.object_store import ObjectStore, running

# Before torch is imported: on networks so small, threads only wait for each other (a factor of ten on a busy machine).
os.environ.setdefault("OMP_NUM_THREADS", "1")

SAMPLE_DATA = Path(__file__).parents[1] / "sample_data"


MEANS = """
from torch import nn

def backbone(input_shape):
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten())
"""
"""A module with a backbone without weights."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """What `--json` printed."""
        return json.loads(self.stdout)


def dfal(*arguments: object) -> Ended:
    """Run a command in this process; as `python -m dfal_cli ARGUMENTS` would, but without its start-up."""
    from dfal_cli.cli import main

    stdout, stderr = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["dfal", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr), pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    return Ended(ended.value.code or 0, stdout.getvalue(), stderr.getvalue())


def dfal_process(*arguments: object, **settings: Any) -> Ended:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "dfal_cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **settings,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run the test inside an empty folder, and forget its modules, whose names other tests may use."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(f"{tmp_path}/"):
            del sys.modules[name]


def draw_folder(root: Path, classes: tuple[str, ...] = ("dark", "light"), each: int = 20, side: int = 16) -> Path:
    """Make `root`/images with grey PNGs that differ by brightness, `root`/oracle.csv with a label for each."""
    generator = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    rows = ["image,label"]
    for number in range(each * len(classes)):
        name = classes[number % len(classes)]
        level = 255 * (0.15 + 0.7 * classes.index(name) / max(1, len(classes) - 1))
        pixels = generator.normal(level, 25, (side, side)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number:03d}.png")
        rows.append(f"{number:03d}.png,{name}")
    (root / "oracle.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def draw_twins_in_size(folder: Path, *names: str) -> None:
    """Replace images by BMPs that differ in brightness, and neither in size nor in time of modification."""
    for number, name in enumerate(names):
        Image.new("L", (16, 16), 40 + 150 * number // len(names)).save(folder / name, "BMP")
        os.utime(folder / name, ns=(0, 0))


def swap(one: Path, other: Path) -> None:
    """Let two files change names."""
    aside = one.rename(one.with_name("aside"))
    other.rename(one)
    aside.rename(other)


def draw_divided_folder(root: Path) -> Path:
    """The same with 24 images; `root`/pool.csv has labels for 16 of them, `root`/test.csv for the other 8."""
    draw_folder(root, each=12)
    header, *rows = (root / "oracle.csv").read_text().splitlines()
    write(root / "pool.csv", header, *rows[:16])
    write(root / "test.csv", header, *rows[16:])
    return root


def train_divided_folder(root: Path) -> Path:
    """Make `root`/in, which is such a folder, and `root`/m.safetensors, trained on its pool."""
    draw_divided_folder(root / "in")
    train_on(root / "in/images", root / "in/pool.csv", root / "m.safetensors", epochs=2)
    return root


def train_on(images: Path, labels: Path, out: Path, *, epochs: int) -> None:
    """Train a network for a test to begin with."""
    ended = dfal(
        "train", "--images", images, "--labels", labels, "--out", out, "--epochs", epochs, "--device", "cpu", "--quiet"
    )
    assert ended.code == 0, ended.stderr


def write(path: Path, *lines: str) -> Path:
    """Write lines of text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images/ (40 of two classes), oracle.csv, labels.csv (24 of them) and model.safetensors (LeNet5)."""
    root = draw_folder(tmp_path_factory.mktemp("trained"))
    rows = (root / "oracle.csv").read_text().splitlines()
    write(root / "labels.csv", *rows[:25])
    train_on(root / "images", root / "labels.csv", root / "model.safetensors", epochs=15)
    return root


def write_margins(path: Path, root: Path, margins: dict[str, float | None], **columns: list[Any]) -> Path:
    """Write a scores file as `dfal score` would for these margins (None = not crossed); `columns` replace others."""
    from dfal_cli.tables import scores_table, write_scores

    count = len(margins)
    crossed = [margin is not None for margin in margins.values()]
    values: dict[str, list[Any]] = {
        "image": list(margins),
        "predicted": ["dark"] * count,
        "confidence": [0.5] * count,
        "probability_gap": [0.25] * count,
        "entropy": [0.5] * count,
        "outcome": ["crossed" if is_crossed else "uncrossed" for is_crossed in crossed],
        "margin": list(margins.values()),
        "crossing_class": ["light" if is_crossed else None for is_crossed in crossed],
        "iterations": [2] * count,
        "twin": [None] * count,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"image_root": str(root.absolute()), "input_shape": [1, 16, 16], "norm": "l2"}
    write_scores(path, [scores_table(values | columns)], metadata)
    return path


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """A real object store on this machine."""
    with running() as store:
        yield store

"""A folder of colour images and a quick backbone for the tests of embed."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dfal_cli.tables.embeddings import EmbeddingsFile, read_embeddings
from tests.conftest import Ended, dfal, write

BACKBONE = """
import os, time
from pathlib import Path
import torch
from torch import nn

class Quarters(nn.Module):
    "The mean colours of the four quarters, times a weight. It notes how many images it has seen."
    def __init__(self):
        super().__init__()
        self.forwards = 0
        self.weight = nn.Parameter(torch.tensor(float(os.environ.get("WEIGHT", 1))))
    def forward(self, images):
        self.forwards += 1
        if self.forwards == int(os.environ.get("INTERRUPTED_AT", 0)):
            raise KeyboardInterrupt
        time.sleep(float(os.environ.get("SECONDS_A_FORWARD", 0)))
        with Path("seen").open("a") as handle:
            handle.write(f"{len(images)}\\n")
        means = nn.functional.adaptive_avg_pool2d(images, 2).flatten(1) * self.weight
        return torch.where(means[:, :1] == 1, torch.nan, means)

def quarters(input_shape):
    return Quarters()
"""


def draw_photos(root: Path, count: int = 12) -> Path:
    """Make `root`/photos with PNGs of many sizes in two folders, and `root`/mine.py with the backbone."""
    generator = np.random.default_rng(0)
    for number in range(count):
        paint(root / f"photos/{'ab'[number % 2]}/{number:02d}.png", generator.integers(0, 200, (2, 2, 3)))
    write(root / "mine.py", BACKBONE)
    sys.modules.pop("mine", None)  # that of another test
    return root


def paint(path: Path, quarters: Any) -> None:
    """Write a PNG with these colours, (2, 2, 3), in a size that they decide."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(quarters, np.uint8)
    height, width = (20 + int(side) for side in pixels[0, :, 0])
    Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST).save(path)


def embed(*further: object, out: str = "e.parquet", backbone: str = "mine:quarters") -> Ended:
    """`dfal embed` of the folder."""
    return dfal(
        "embed", "--images", "photos", "--out", out, "--backbone", backbone, "--image-size", 32, "--device", "cpu",
        *further,
    )  # fmt: skip


def embedded(*further: object, out: str = "e.parquet") -> EmbeddingsFile:
    """The embeddings that the command has written."""
    ended = embed(*further, out=out)
    assert ended.code == 0, ended.stderr
    return read_embeddings(Path(out))


def seen() -> int:
    """Number of images that the backbone has computed since the last call, apart from those to try it out."""
    counts = [int(line) for line in Path("seen").read_text().splitlines()] if Path("seen").exists() else []
    Path("seen").unlink(missing_ok=True)
    return sum(counts[2:])  # two images, then one

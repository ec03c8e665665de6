"""What a check is given, and what it found."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image

from dfal_cli.checkpoint import LoadedNetwork, load_checkpoint
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.reporting import Silent

CLASSES, SIDE = 10, 28


class Finding(NamedTuple):
    """The result of a check."""

    passed: bool | None
    """None: it was not checked, for the reason in `what`."""
    what: str
    """In words, with the numbers that decided."""
    figures: dict[str, float] = {}  # noqa: RUF012
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """Say whether the check has passed."""
        return {True: "passed", False: "FAILED", None: "skipped"}[self.passed]


@dataclass(frozen=True)
class Setting:
    """The device to check, and a folder whose contents the checks share."""

    device: torch.device
    folder: Path
    small: bool = False
    _kept: dict[Any, Any] = field(default_factory=dict)

    def images(self, count: int) -> "Folder":
        """A folder of drawn images of ten classes, 28 pixels and grey; the first 500 are labelled."""
        if self.small:
            count = min(count, 600)
        if count not in self._kept:
            self._kept[count] = _draw(self.folder / f"drawn-{count}", count)
        return self._kept[count]  # type: ignore[no-any-return]

    def network(self, device: str = "cpu") -> LoadedNetwork:
        """A LeNet5 trained on the labelled images, on the CPU, so that all devices check the same network."""
        checkpoint = self.folder / "network.safetensors"
        if not checkpoint.exists():
            images = self.images(600)
            options = TrainOptions(
                images=images.root, labels=[images.labels], out=checkpoint, arch="lenet5", epochs=20, device="cpu"
            )
            train(options, Silent())
        return load_checkpoint(checkpoint, device)

    def floats(self, count: int) -> torch.Tensor:
        """Drawn images as the network takes them, (N, 1, 28, 28), on the CPU."""
        return torch.from_numpy(_pixels(min(count, 600) if self.small else count)[0]).float()[:, None] / 255


class Folder(NamedTuple):
    """Images on disk."""

    root: Path
    labels: Path


def run_process(*command: object) -> None:
    """Run `python -m COMMAND`. Raises RuntimeError with what it said if it fails."""
    done = subprocess.run([sys.executable, "-m", *map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr}")


def _pixels(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth patterns, one for each class, under noise: (N, 28, 28) uint8 and (N,) classes."""
    generator = np.random.default_rng(0)
    coarse = torch.from_numpy(generator.random((CLASSES, 1, 4, 4)).astype(np.float32))
    patterns = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic")[:, 0].numpy()
    targets = generator.integers(0, CLASSES, count)
    noise = generator.normal(0, 0.35, (count, SIDE, SIDE)).astype(np.float32)
    return (255 * (patterns[targets] + noise).clip(0, 1)).astype(np.uint8), targets


def _draw(folder: Path, count: int) -> Folder:
    root = folder / "images"
    root.mkdir(parents=True)
    pixels, targets = _pixels(count)
    names = [f"{number:06d}.png" for number in range(count)]
    for name, image in zip(names, pixels, strict=True):
        Image.fromarray(image).save(root / name, compress_level=1)
    labels = folder / "labels.csv"
    table = pd.DataFrame({"image": names, "label": [f"class {target}" for target in targets]})
    table[:500].to_csv(labels, index=False)
    return Folder(root, labels)

"""The trained networks and the images they are measured on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfal_cli.images import InputFormat, in_batches, read_batches
from dfal_cli.models import build_network, seeded
from dfal_cli.system.device import first_batch_size
from dfal_cli.tables import read_labels

from .folders import ImageFolder, image_folder


class Subject(NamedTuple):
    """What to train, and on how many images to measure it."""

    architecture: str
    data: str
    shape: tuple[int, int, int]
    trained_on: int
    epochs: int
    pool: int
    """Images that were not trained on; `--nearest` is measured on all of them."""
    measured: int
    """Of the pool: the estimators and peers are measured on these."""
    few: int
    """Of those: the slow peers are measured on these."""
    targets: int
    """For the reference, so many classes are targeted one by one."""
    steps: int
    """Of the longest attack for the reference."""


SUBJECTS = {
    subject.architecture: subject
    for subject in (
        Subject("lenet5", "mnist", (1, 28, 28), 10_000, 4, pool=5_000, measured=1_024, few=128, targets=9, steps=1_000),
        Subject("resnet18", "clothing10", (3, 64, 64), 887, 6, pool=1_000, measured=128, few=32, targets=3, steps=200),
    )
}


class Trained(NamedTuple):
    """A network in eval mode whose weights need no gradient, and the pool it has not seen."""

    model: nn.Module
    pool: np.ndarray
    """(N, C, H, W) uint8."""
    classes: tuple[str, ...]
    data: str
    accuracy: float
    """On the pool."""
    stem: str
    """Of the files kept for it."""
    batch: int
    """What `dfal score` begins with on this device."""


def prepare(subject: Subject, keep: Path, device: torch.device) -> Trained:
    """Read the images and train the network, or fetch both from `keep`."""
    wanted = subject.trained_on + subject.pool
    folder = image_folder(subject.data, keep, wanted)
    stem = f"{subject.architecture}-{folder.root.name}-{subject.trained_on}x{subject.epochs}"
    pixels, labels, classes = kept(
        keep / f"{subject.architecture}-{folder.root.name}-{wanted}-pixels.pt",
        lambda: _read(folder, subject.shape, wanted),
    )
    pixels, pool = pixels[: subject.trained_on], pixels[subject.trained_on :]

    def train() -> dict[str, Tensor]:
        return _train(_network(subject, len(classes)), pixels, labels[: subject.trained_on], subject.epochs)

    model = _network(subject, len(classes))
    model.load_state_dict(kept(keep / f"{stem}.pt", train))
    model.eval().requires_grad_(False)
    accuracy = (_predictions(model, pool) == labels[subject.trained_on :]).float().mean().item()
    batch = first_batch_size(device, subject.shape)
    return Trained(model.to(device), pool.numpy(), classes, folder.name, accuracy, stem, batch)


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """What the file holds; made and saved where there is none."""
    if not path.exists():
        torch.save(make(), path)
    return torch.load(path, map_location="cpu")


def _read(folder: ImageFolder, shape: tuple[int, int, int], count: int) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Decode `count` images, shuffled: pixels (N, C, H, W) uint8, class numbers (N,), and the classes."""
    table = read_labels(folder.labels).sample(frac=1, random_state=0).head(count)
    pixels = np.concatenate(
        [part.pixels for part in read_batches(folder.root, in_batches(list(table["image"]), 256), InputFormat(shape))]
    )
    classes, numbers = np.unique(table["label"].to_numpy(str), return_inverse=True)
    return torch.from_numpy(pixels), torch.from_numpy(numbers), tuple(map(str, classes))


def _network(subject: Subject, classes: int) -> nn.Module:
    with seeded(0, torch.device("cpu")):
        return build_network(subject.architecture, classes, subject.shape)


def _train(model: nn.Module, pixels: Tensor, labels: Tensor, epochs: int) -> dict[str, Tensor]:
    """Adam on cross-entropy; returns the weights."""
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(epochs):
        # A last batch of one image would stop batch normalisation.
        for batch in torch.randperm(len(pixels), generator=generator)[: len(pixels) // 2 * 2].split(64):
            optimiser.zero_grad()
            F.cross_entropy(model(pixels[batch].float() / 255), labels[batch]).backward()
            optimiser.step()
    return model.state_dict()


def _predictions(model: nn.Module, pixels: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([model(part.float() / 255).argmax(1) for part in pixels.split(256)])

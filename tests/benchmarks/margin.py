"""What a margin costs, ours and foolbox's (extra `test`), side by side: python tests/benchmarks/margin.py

The unit is the forward equivalent: CPU time of the method over CPU time of one plain forward pass over the same images
in the same batches. The networks are a LeNet5 and a ResNet-18 (64 pixels, colour) trained here for a minute on the
sample data, so that anyone can run it.
"""

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfal_cli.images import decode_image
from dfal_cli.margins import deepfool
from dfal_cli.models import build_network
from dfal_cli.tables import read_labels

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"
NETWORKS = (("lenet5", (1, 28, 28), 512, 256, 40), ("resnet18", (3, 64, 64), 64, 32, 2))
"""Architecture, input shape, images measured, batch, epochs of training."""

REPEATS = 3


def load(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """The pool of the sample data: images (N, C, H, W) in [0, 1] and classes (N,)."""
    table = read_labels(SAMPLE_DATA / "oracle.csv")
    pixels = np.stack([decode_image(SAMPLE_DATA / "images" / image, shape) for image in table["image"]])
    _, labels = np.unique(table["label"].to_numpy(str), return_inverse=True)
    return torch.from_numpy(pixels).float() / 255, torch.from_numpy(labels)


def train(model: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Adam on cross-entropy."""
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(images), generator=generator), 32):
            optimiser.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimiser.step()
    model.eval()


def foolbox_deepfool(model: nn.Module, candidates: int | None) -> Callable[[Tensor], Tensor]:
    """foolbox's L2DeepFool, unclipped, as a function from images to margins."""
    import foolbox

    attack = foolbox.attacks.L2DeepFoolAttack(steps=50, candidates=candidates, overshoot=0.02)
    wrapped = foolbox.PyTorchModel(model, bounds=(-100, 100), device="cpu")

    def margins(images: Tensor) -> Tensor:
        predicted = model(images).argmax(1)
        _, adversarial, crossed = attack(wrapped, images, predicted, epsilons=None)
        return (adversarial - images).flatten(1).norm(dim=1).where(crossed, torch.nan)

    return margins


def cpu_seconds(function: Callable[[Tensor], Tensor], images: Tensor, batch: int) -> tuple[float, Tensor]:
    """The least CPU time of a few runs, and what the function returned."""
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        answers = torch.cat([function(part) for part in images.split(batch)])
        times.append(time.process_time() - started)
    return min(times), answers


def main() -> None:
    """Print a line for each network and method."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"{'':26} forward eq.  images/s  crossed  median   mean")
    for name, shape, count, batch, epochs in NETWORKS:
        images, labels = load(shape)
        model = build_network(name, 4, shape)
        train(model, images, labels, epochs)
        methods = {
            "dfal deepfool": lambda part, model=model: deepfool(model, part).margin,
            "foolbox, all classes": foolbox_deepfool(model, None),
            "foolbox, 3 candidates": foolbox_deepfool(model, 3),
        }
        with torch.no_grad():
            forward, _ = cpu_seconds(model, images[:count], batch)
        for method, function in methods.items():
            seconds, margins = cpu_seconds(function, images[:count], batch)
            known = margins[margins.isfinite()]
            print(
                f"{name}: {method:24.24} {seconds / forward:7.1f} {count / seconds:9.0f} {len(known) / count:8.3f} "
                f"{known.median():8.4f} {known.mean():7.4f}"
            )


if __name__ == "__main__":
    main()

"""Max pooling without gradients, dfal's way and torch's own: python tests/benchmarks/pooling.py

The layers alone, and forward passes of whole networks; one thread of a CPU, the least of some runs.
"""

import platform
import time

import torch
from comparison.timing import least_seconds
from torch import Tensor, nn

from dfal_cli.models import build_network, fast_pooling

POOLINGS = {
    "LeNet5's first": (nn.MaxPool2d(2), (256, 6, 24, 24)),
    "LeNet5's second": (nn.MaxPool2d(2), (256, 16, 8, 8)),
    "VGG8's first": (nn.MaxPool2d(2), (64, 64, 28, 28)),
    "ResNet's": (nn.MaxPool2d(3, stride=2, padding=1), (16, 64, 112, 112)),
    "GoogLeNet's, within a block": (nn.MaxPool2d(3, stride=1, padding=1), (16, 192, 28, 28)),
}
NETWORKS = {"lenet5": (256, 1, 28, 28), "vgg8": (64, 1, 28, 28), "resnet18": (64, 3, 64, 64), "vgg11": (8, 3, 64, 64)}
CPU = torch.device("cpu")
CALLS = 10


def seconds(model: nn.Module, images: Tensor) -> tuple[float, float]:
    """Of a call with torch's own pooling, and with dfal's."""

    def call() -> None:
        for _ in range(CALLS):
            model(images)

    with torch.no_grad():
        call()
        plain = least_seconds(call, CPU)
        with fast_pooling(model):
            quick = least_seconds(call, CPU)
        return min(plain, least_seconds(call, CPU)) / CALLS, quick / CALLS


def main() -> None:
    """Print a Markdown table."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    print(f"{platform.machine()} CPU, one thread, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}\n")
    print("| what | images | torch's own, ms | dfal's, ms | ratio |\n| --- | --- | --- | --- | --- |")
    networks = {
        f"a forward pass of {name}": (build_network(name, 10, shape[1:]).eval(), shape)
        for name, shape in NETWORKS.items()
    }
    for name, (model, shape) in (POOLINGS | networks).items():
        plain, quick = seconds(model, torch.rand(shape, generator=generator))
        size = " x ".join(map(str, shape))
        print(f"| {name} | {size} | {1000 * plain:.2f} | {1000 * quick:.2f} | {plain / quick:.1f} |", flush=True)


if __name__ == "__main__":
    main()

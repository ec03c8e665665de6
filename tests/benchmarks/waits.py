"""How often the host waits for a GPU, counted on one that is only pretended: python -m tests.benchmarks.waits

Prints the table in tests/benchmarks/README.md, which a test compares with it.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from dfal_cli.margins import ESTIMATORS
from dfal_cli.measures import MEASURES, MeasureRunner, Settings
from dfal_cli.models import Network, build_network, seeded
from dfal_cli.models.embedding import embed_pixels
from dfal_cli.system.device import FittingBatches
from dfal_cli.system.reporting import Silent
from dfal_cli.training.examples import Examples
from dfal_cli.training.fitting import fit
from dfal_cli.training.run import TrainingRun, TrainingSettings
from tests.benchmarks.comparison.subjects import Trained
from tests.benchmarks.comparison.walk import scorer_of
from tests.pretended_gpu import GPU, PretendedGpu

IMAGES, SHAPE = 48, (1, 28, 28)
NAMES = [f"{number:06d}" for number in range(IMAGES)]

Rows = Iterator[tuple[str, int]]
"""What is counted, and how often the host waits for it."""


def table() -> str:
    """Return the counts as a Markdown table."""
    with PretendedGpu() as gpu:
        rows = [*_of_margins(gpu), *_of_batches(gpu), *_of_epochs(gpu)]
    return "\n".join(["| work | waits |", "| --- | --- |", *(f"| {work} | {waits} |" for work, waits in rows)])


def _network() -> Network:
    """Return a LeNet5 on the GPU, with random weights."""
    with seeded(0, torch.device("cpu")):
        return build_network("lenet5", 10, SHAPE).eval().to(GPU)


def _pixels() -> Tensor:
    """Return images on the host, (48, 1, 28, 28) uint8."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (IMAGES, *SHAPE), generator=generator).to(torch.uint8)


def _on_gpu() -> Tensor:
    return (_pixels().float() / 255).to(GPU)


def _waits(gpu: PretendedGpu, work: Callable[..., object], *arguments: object) -> int:
    before = gpu.waits.total()
    work(*arguments)
    return gpu.waits.total() - before


def _of_margins(gpu: PretendedGpu) -> Rows:
    model, images = _network(), _on_gpu()
    steps = int(ESTIMATORS["deepfool"](model, images).iterations.max())
    for name, estimator in ESTIMATORS.items():
        yield f"`{name}`, a batch that takes {steps} steps of DeepFool", _waits(gpu, estimator, model, images)


def _of_batches(gpu: PretendedGpu) -> Rows:
    model, images, pixels = _network(), _on_gpu(), _pixels().to(GPU)
    batches = FittingBatches(IMAGES, Silent())
    trained = Trained(model, _pixels().numpy(), tuple("abcdefghij"), "noise", 0.0, "noise", IMAGES)
    scorer = scorer_of(trained, NAMES, batches, GPU)
    yield "`score`, a batch", _waits(gpu, lambda: list(scorer.batches_of([NAMES], with_margins=False)))
    in_all = _waits(gpu, lambda: list(scorer.margins_of([NAMES])))
    yield "its margins, besides the estimator", in_all - _waits(gpu, ESTIMATORS["deepfool"], model, images)
    for name, measure in MEASURES.items():
        runner = MeasureRunner({name: measure}, model, Settings("lenet5", 10, 0, print), batches)
        runner(images)  # egl chooses its method by the first images
        yield f"`--measure {name}`, a batch", _waits(gpu, runner, images)
    yield "`embed`, a batch", _waits(gpu, embed_pixels, model, pixels)


def _of_epochs(gpu: PretendedGpu) -> Rows:
    examples = Examples(_pixels(), torch.arange(IMAGES) % 10, torch.empty(0, *SHAPE), torch.empty(0, dtype=torch.int64))

    def train(epochs: int, batch_size: int, augment: str, validation: Examples | None) -> None:
        settings = TrainingSettings(epochs, batch_size=batch_size, augment=augment)
        fit(TrainingRun(_network(), settings, 0), examples, validation, 0, lambda epoch: None)

    def waits(batch_size: int = 16, augment: str = "none", validation: Examples | None = None) -> int:
        one, two = (_waits(gpu, train, epochs, batch_size, augment, validation) for epochs in (1, 2))
        return two - one

    for size in (16, 4):
        yield f"`train`, an epoch of {IMAGES // size} batches", waits(size)
    yield "its validation", waits(validation=examples) - waits()
    yield "its augmentation by `photo`, an image", (waits(augment="photo") - waits()) // IMAGES


if __name__ == "__main__":
    print(table())

"""Trainings on the GPU end where those on the CPU do: of networks, of heads, of pretrained networks, and by a team."""

import tempfile
from collections.abc import Callable

import numpy as np
import torch
from torch import distributed

from dfal_cli.models import build_network, seeded
from dfal_cli.models.head_file import load_head
from dfal_cli.steps.result import Result
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.reporting import Silent
from dfal_cli.training.examples import Examples
from dfal_cli.training.fitting import fit
from dfal_cli.training.ranks import TeamOfRanks
from dfal_cli.training.run import TrainingRun, TrainingSettings
from dfal_cli.training.team import SINGLE, Team
from tests.gpu.finding import Finding, Setting
from tests.gpu.parity import TOLERANCE

EPOCHS = 5


def networks(setting: Setting) -> Finding:
    """The first epochs have the losses of the CPU; mixed precision ends where full precision does."""
    here, full = _losses(setting, "cpu", mixed=False), _losses(setting, str(setting.device), mixed=False)
    mixed = _losses(setting, str(setting.device), mixed=True)
    first, last = _apart(full[0], here[0]), _apart(mixed[-1], full[-1])
    return Finding(
        first <= 10 * TOLERANCE and last <= 0.2,
        f"loss of the first epoch {first:.1e} apart from the CPU's; of the fifth {last:.1%} apart with mixed precision",
        {"first": first, "mixed": last},
    )


def augmented(setting: Setting) -> Finding:
    """Augmented images draw the same numbers on both devices."""
    here, there = (
        _losses(setting, device, mixed=False, augment="photo") for device in ("cpu", str(setting.device))
    )  # fmt: skip
    first = _apart(there[0], here[0])
    return Finding(first <= 10 * TOLERANCE, f"loss of the first epoch {first:.1e} apart from the CPU's")


def heads(setting: Setting) -> Finding:
    """`train --freeze`: the head on embeddings in half precision classifies the test images as the CPU's does."""
    results = [_pretrained(setting, device, freeze=True) for device in ("cpu", str(setting.device))]
    one, two = (np.array(result.details["test"]["confusion"]) for result in results)
    first, second = (load_head(result.outputs[0]).weight for result in results)
    cosine = float((first * second).sum() / np.linalg.norm(first) / np.linalg.norm(second))
    differing = int(np.abs(one - two).sum()) // 2
    return Finding(
        cosine >= 0.99 and differing <= 0.02 * one.sum(),
        f"weights of cosine {cosine:.4f}; {differing} of {one.sum()} test images classified differently",
    )


def finetuning(setting: Setting) -> Finding:
    """`train --finetune`: the first epoch has the loss of the CPU, within what half precision changes in the start."""
    results = [_pretrained(setting, device, finetune=True) for device in ("cpu", str(setting.device))]
    one, two = (result.details["history"][0]["loss"] for result in results)
    return Finding(_apart(two, one) <= 0.05, f"loss of the first epoch {_apart(two, one):.1%} apart from the CPU's")


def team(setting: Setting) -> Finding:
    """A team of one rank, whose gradients go through NCCL on a GPU, trains the network of a process alone."""
    with tempfile.TemporaryDirectory() as folder:
        distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=0, world_size=1)
        try:
            together = _fitted(setting, TeamOfRanks(setting.device, sync_batch_norm=False))
        finally:
            distributed.destroy_process_group()
    apart = max(map(_apart, together, _fitted(setting, SINGLE)))
    backend = "NCCL" if setting.device.type == "cuda" else "gloo"
    return Finding(apart <= TOLERANCE, f"losses of {EPOCHS} epochs by {backend} at most {apart:.1e} apart")


def _losses(setting: Setting, device: str, *, mixed: bool, augment: str = "none") -> list[float]:
    images = setting.images(600)
    options = TrainOptions(
        images=images.root, labels=[images.labels], out=setting.folder / "trained.safetensors", arch="lenet5",
        epochs=EPOCHS, patience=100, device=device, mixed_precision=mixed, augment=augment, force=True,
    )  # fmt: skip
    return [epoch["loss"] for epoch in train(options, Silent()).details["history"]]


def _pretrained(setting: Setting, device: str, **kind: bool) -> Result:
    """Train on lite0."""
    images = setting.images(600)
    rows = images.labels.read_text().splitlines()
    files = {part: setting.folder / f"{part}-of-few.csv" for part in ("labels", "test")}
    for file, part in zip(files.values(), (rows[1:81], rows[81:161]), strict=True):
        file.write_text("\n".join([rows[0], *part]) + "\n", encoding="utf-8")
    options = TrainOptions(
        images=images.root, labels=[files["labels"]], test=[files["test"]], image_size=64 if setting.small else None,
        out=setting.folder / f"{'-'.join(kind)}-{device.replace(':', '-')}.safetensors", device=device,
        epochs=1 if "finetune" in kind else None, augment="none" if "finetune" in kind else None, force=True, **kind,
    )  # fmt: skip
    return train(options, Silent())


def _fitted(setting: Setting, team: Team) -> list[float]:
    """Return the losses of the epochs of a LeNet5 that a team trains."""
    with seeded(0, torch.device("cpu")):
        network = build_network("lenet5", 10, (1, 28, 28)).to(setting.device)
    pixels = (255 * setting.floats(500)).to(torch.uint8)
    labels = torch.arange(len(pixels)) % 10
    examples = Examples(pixels, labels, torch.empty(0, *pixels.shape[1:]), torch.empty(0, dtype=torch.int64))
    run = TrainingRun(network, TrainingSettings(EPOCHS, mixed_precision=False), 0)
    return [epoch.loss for epoch in fit(run, examples, None, 0, lambda epoch: None, team=team)]


def _apart(one: float, other: float) -> float:
    return abs(one - other) / abs(other)


TRAININGS: dict[str, Callable[[Setting], Finding]] = {
    "training": networks, "augmentation": augmented, "heads": heads, "finetuning": finetuning, "team": team,
}  # fmt: skip

"""Memory of the GPU, copies to it, and commands that use it for a long time."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from pytest import MonkeyPatch

from dfal_cli.margins import deepfool
from dfal_cli.steps.simulate.command import simulate
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.system import device
from dfal_cli.system.device import FittingBatches, KeptPixels, on_device
from dfal_cli.system.reporting import Silent
from dfal_cli.training.state import TrainingState
from tests.gpu.finding import Finding, Setting


def copies(setting: Setting) -> Finding:
    """Pixels reach the GPU as they are, though their memory is used again at once."""
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randint(256, (512, 3, 64, 64), dtype=torch.uint8, generator=generator) for _ in range(8)]
    there = [on_device(batch.clone(), setting.device) for batch in batches]
    wrong = sum(not torch.equal(batch, copy.cpu()) for batch, copy in zip(batches, there, strict=True))
    rows, kept = np.arange(0, 512, 3), KeptPixels(tuple(batches[0].shape), setting.device)
    for _ in range(2):  # copied, then kept
        wrong += not torch.equal(kept.of(rows, batches[0][rows].numpy()).cpu(), batches[0][rows])
    return Finding(wrong == 0, f"{wrong} of {len(batches) + 2} copies changed")


def out_of_memory(setting: Setting) -> Finding:
    """With a limit on the memory, batches are halved until they fit, and the margins are the same."""
    network, images = setting.network(str(setting.device)), setting.floats(20_000).to(setting.device)
    expected = torch.cat([deepfool(network.model, part).margin for part in images.split(500)])
    batches = FittingBatches(len(images), Silent())
    if setting.device.type == "cuda":
        torch.cuda.empty_cache()
        free = 2 * images.nbytes / torch.cuda.get_device_properties(setting.device).total_memory
        torch.cuda.set_per_process_memory_fraction(
            torch.cuda.memory_reserved(setting.device) / torch.cuda.get_device_properties(setting.device).total_memory
            + free
        )
    try:
        found = torch.cat(batches.apply(lambda part: deepfool(network.model, part).margin, images))
    finally:
        if setting.device.type == "cuda":
            torch.cuda.set_per_process_memory_fraction(1.0)
    apart = ((found - expected).abs() / expected).nan_to_num(0)
    was_halved = batches.size < len(images) or setting.device.type != "cuda"
    share = float((apart > 1e-3).float().mean())
    return Finding(
        was_halved and share <= 1e-3,
        f"batches of {len(images)} became {batches.size}; {share:.1%} of the margins differ by more than 1e-3",
    )


def resuming(setting: Setting) -> Finding:
    """A training that began on another kind of device is not resumed."""
    out = setting.folder / "resumed.safetensors"
    states = {name: TrainingState(out, "inputs", torch.device(name), Silent()) for name in ("cpu", setting.device.type)}
    states["cpu"].write(({"weight": torch.zeros(2)}, {"epoch": 1}))
    own, other = states["cpu"].read(), states[setting.device.type].read()
    refused = other is None or setting.device.type == "cpu"
    return Finding(own is not None and refused, "resumed on the CPU only" if other is None else "resumed")


def simulation(setting: Setting) -> Finding:
    """`simulate` plays its rounds on the GPU, each with about the accuracy of the CPU's, and copies each image once."""
    one, two = (simulated(setting, device, jobs=1) for device in ("cpu", str(setting.device)))
    apart = float((one["accuracy"] - two["accuracy"]).abs().max())
    stayed = any(device._kept.values())
    device._kept.clear()  # the other checks need the memory
    return Finding(
        len(one) == len(two) and apart <= 0.1 and stayed == (setting.device.type == "cuda"),
        f"{len(two)} rounds; accuracies at most {apart:.1%} apart; images {'' if stayed else 'not '}kept on a GPU",
    )


def simulated(setting: Setting, name: str, jobs: int | None) -> pd.DataFrame:
    """Simulate three rounds of two strategies on a device; return the results."""
    table = pd.read_csv(setting.images(600).labels, dtype=str)
    oracle, test = setting.folder / "oracle.csv", setting.folder / "test.csv"
    table[:300].to_csv(oracle, index=False)
    table[300:].to_csv(test, index=False)
    options = SimulateOptions(
        images=setting.images(600).root, labels=[oracle], test=[test], out=setting.folder / f"simulated-{jobs}-{name}",
        arch="lenet5", strategies="dfal,random", initial=50, count=50, budget=150, epochs=10, device=name, jobs=jobs,
    )  # fmt: skip
    with MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # then one job is played in this process
        simulate(options, Silent())
    return pd.read_csv(options.out / "results.csv")


MEMORY: dict[str, Callable[[Setting], Finding]] = {
    "copies": copies, "out-of-memory": out_of_memory, "resuming": resuming, "simulation": simulation,
}  # fmt: skip

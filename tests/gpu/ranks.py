"""Several processes: as many ranks as the machine has GPUs, and simulations over all of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tests.gpu.finding import Finding, Setting, run_process
from tests.gpu.memory import simulated

RANKS_AT_MOST = 2


def _gpus(setting: Setting) -> int:
    return torch.cuda.device_count() if setting.device.type == "cuda" else 1


def ranks(setting: Setting) -> Finding:
    """`score`, `embed` and `train` over ranks give the results of one process."""
    count = min(_gpus(setting), RANKS_AT_MOST)
    setting.network()
    images, worst = setting.images(600), {}
    common = ("--images", images.root, "--device", setting.device.type, "--quiet", "--force")
    learning = ("--labels", images.labels, "--arch", "lenet5", "--epochs", 3, "--no-mixed-precision")
    torchrun = ("torch.distributed.run", "--standalone", f"--nproc-per-node={count}", "-m")
    commands = {
        "score": ("scores.parquet", "--labels", images.labels, "--checkpoint", setting.folder / "network.safetensors"),
        "embed": ("embedded.parquet", "--backbone", "lite0", "--image-size", 64),
        "train": ("ranks.safetensors", *learning),
    }
    for name, (file, *further) in commands.items():
        outs = [setting.folder / f"{kind}-{file}" for kind in ("alone", "ranks")]
        for out, start in zip(outs, ((), torchrun), strict=True):
            run_process(*start, "dfal_cli", name, *common, *further, "--out", out)
        worst[name] = _largest_difference(*outs)
    listed = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
    what = f"{count} of {_gpus(setting)} GPUs; largest differences: {listed}"
    return Finding(max(worst.values()) <= 1e-2, what, worst)


def _largest_difference(one: Path, other: Path) -> float:
    """Return the largest difference of the margins, embeddings or weights in two files, relative to their mean."""
    return max(
        float(np.nanmax(np.abs(values - others)) / np.nanmean(np.abs(values)))
        for values, others in zip(_numbers(one), _numbers(other), strict=True)
    )


def _numbers(file: Path) -> list[np.ndarray]:
    if file.suffix == ".parquet":
        table = pd.read_parquet(file)
        return [np.stack(table[name].tolist()) for name in ("margin", "embedding") if name in table]
    from safetensors.numpy import load_file

    return [value for value in load_file(file).values() if value.size > 1]


def simulations(setting: Setting) -> Finding:
    """`simulate` spreads its runs over all GPUs, and has the results of a single one."""
    count = _gpus(setting)
    if count == 1:
        return Finding(None, "this machine has 1 GPU; simulate spreads its runs over several")
    one, all_of_them = simulated(setting, "cuda:0", jobs=1), simulated(setting, "cuda", jobs=None)
    return Finding(one.equals(all_of_them), f"{len(one)} rounds over {count} GPUs")


RANKS: dict[str, Callable[[Setting], Finding]] = {"ranks": ranks, "simulations": simulations}

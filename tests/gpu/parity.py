"""The GPU computes what the CPU computes."""

import copy
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dfal_cli.margins.crossing import push_across_boundary
from dfal_cli.margins.estimators import ESTIMATORS
from dfal_cli.models.backbones import load_backbone
from dfal_cli.models.embedding import embed_pixels
from dfal_cli.steps.score.command import score
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.device import tf32
from dfal_cli.system.reporting import Silent
from tests.gpu.finding import Finding, Setting

TOLERANCE = 1e-3
"""Relative to the CPU's numbers."""


def margins(setting: Setting) -> Finding:
    """Margins of both estimators in both norms: the same images cross, at the same distance to 1e-3."""
    images, worst, differing, total = setting.floats(2000), 0.0, 0, 0
    here, there = setting.network(), setting.network(str(setting.device))
    with tf32(allowed=False):
        for estimator, norm in itertools.product(ESTIMATORS.values(), ("l2", "linf")):
            one = estimator(here.model, images, norm=norm)
            two = estimator(there.model, images.to(setting.device), norm=norm)
            margin = two.margin.cpu()
            both = one.crossed & two.crossed.cpu()
            apart = (margin[both] - one.margin[both]).abs() / one.margin[both]
            worst = max(worst, float(apart.quantile(0.999)))
            differing += int((apart > TOLERANCE).sum() + (one.crossed != two.crossed.cpu()).sum())
            total += len(images)
    share = differing / total
    return Finding(
        share <= 0.001, f"{differing} of {total} margins differ by more than 1e-3; 99.9 % within {worst:.1e}",
        {"differing": differing, "quantile_999": worst},
    )  # fmt: skip


def twins(setting: Setting) -> Finding:
    """Twins made on the GPU are classified differently from their images on the CPU, too."""
    images, network = setting.floats(2000), setting.network()
    there = setting.network(str(setting.device)).model
    crossing = ESTIMATORS["deepfool"](there, images.to(setting.device))
    made, across = push_across_boundary(there, images.to(setting.device), crossing.adversarial, clip=False)
    with torch.no_grad():
        changed = network.model(images).argmax(1) != network.model(made.cpu()).argmax(1)
    across = across.cpu()
    wrong = int((across & ~changed).sum())
    return Finding(wrong == 0 and bool(across.any()), f"{wrong} of {int(across.sum())} twins are none on the CPU")


def batches(setting: Setting) -> Finding:
    """Margins do not depend on the batch."""
    images, network = setting.floats(512).to(setting.device), setting.network(str(setting.device))
    with tf32(allowed=False):
        whole = ESTIMATORS["deepfool"](network.model, images).margin
        worst = 0.0
        for size in (1, 7, 64):
            part = images[: 32 * size]
            found = torch.cat([ESTIMATORS["deepfool"](network.model, batch).margin for batch in part.split(size)])
            apart = ((found - whole[: len(part)]).abs() / whole[: len(part)]).nan_to_num(0)
            worst = max(worst, float(apart.max()))
    return Finding(worst <= TOLERANCE, f"batches of 1, 7, 64 and {len(images)}: at most {worst:.1e} apart")


def scores(setting: Setting) -> Finding:
    """`score` with every measure; the nearest 100 are the same where margins are apart."""
    tables = [_scored(setting, device) for device in ("cpu", str(setting.device))]
    one, two = (pd.read_parquet(table).set_index("image") for table in tables)
    worst = {
        name: float(np.nanmax(_apart(_column(one, name), _column(two, name))))
        for name in ("confidence", "entropy", "probability_gap", "bald", "egl", "embedding", "probabilities")
    }
    nearest = [set(table["margin"].nsmallest(100).index) for table in (one, two)]
    limit = one["margin"].nsmallest(100).max()
    clear = one["margin"][(one["margin"] - limit).abs() > 2 * TOLERANCE * limit].index
    swapped = len((nearest[0] ^ nearest[1]) & set(clear))
    passed = swapped == 0 and max(worst.values()) <= 2 * TOLERANCE
    listed = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
    return Finding(passed, f"{swapped} clear queries swapped; largest difference: {listed}", worst)


def _scored(setting: Setting, device: str) -> Path:
    setting.network()
    images, out = setting.images(600), setting.folder / f"scores-{device.replace(':', '-')}.parquet"
    options = ScoreOptions(
        images=images.root, labels=[images.labels], checkpoint=setting.folder / "network.safetensors", out=out,
        device=device, measure=["bald", "egl", "embedding", "probabilities"],
    )  # fmt: skip
    score(options, Silent())
    return out


def _column(table: pd.DataFrame, name: str) -> np.ndarray:
    cells = table[name]
    return np.stack(cells.to_list()) if cells.dtype == object else cells.to_numpy("float64")


def _apart(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Differences relative to the size of the numbers, which may be near 0."""
    return np.abs(one - two) / np.maximum(np.abs(one), np.nanmean(np.abs(one)))


def embeddings(setting: Setting) -> Finding:
    """Embeddings in half precision on the GPU beside those in float32 on the CPU: cosines, and nothing infinite."""
    backbone = load_backbone("lite0")
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(32, 3, 8, 8, generator=generator)
    photos = torch.nn.functional.interpolate(coarse, (224, 224), mode="bicubic").clamp(0, 1)
    pixels = (255 * photos).to(torch.uint8)
    expected = embed_pixels(backbone.model.eval(), pixels)
    found = embed_pixels(copy.deepcopy(backbone.model).to(setting.device).eval(), pixels.to(setting.device))
    cosines = (expected * found).sum(1) / np.linalg.norm(expected, axis=1) / np.linalg.norm(found, axis=1)
    least = float(cosines.min())
    return Finding(bool(least > 1 - TOLERANCE), f"cosine of at least {least:.6f} to float32 on the CPU")


PARITY: dict[str, Callable[[Setting], Finding]] = {
    "margins": margins, "twins": twins, "batches": batches, "scores": scores, "embeddings": embeddings,
}  # fmt: skip

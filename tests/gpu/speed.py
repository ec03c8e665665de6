"""How fast dfal is on the GPU, beside foolbox on the same GPU and beside the forward pass alone."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.nn.functional import interpolate
from torch.profiler import ProfilerActivity, profile

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.margins import deepfool
from dfal_cli.models.backbones import load_backbone
from dfal_cli.models.embedding import embed_pixels
from dfal_cli.steps.score.command import score
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.device import first_batch_size, on_device, tf32
from dfal_cli.system.reporting import Silent
from tests.benchmarks.comparison.methods import PEERS, is_installed
from tests.benchmarks.comparison.subjects import Trained
from tests.benchmarks.comparison.walk import Scored, score_in_memory
from tests.gpu.finding import Finding, Setting, run_process

POOL, PHOTOS, SCORED_PHOTOS, NEAREST = 60_000, 10_000, 2_000, 600
DEEPFOOL = next(name for name in PEERS if name.startswith("foolbox") and "DeepFool" in name)


def seconds(function: Callable[[], object], device: torch.device) -> float:
    """Wall time until the device is done; the least of two runs, after one that warms up."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times[1:])


def margins(setting: Setting) -> Finding:
    """DeepFool of the MNIST-sized pool in memory, beside foolbox's: at least 10 times as fast."""
    network = setting.network(str(setting.device))
    parts = setting.floats(POOL).to(setting.device).split(4096)
    with tf32(allowed=False):
        own = seconds(lambda: [deepfool(network.model, part) for part in parts], setting.device)
        forward = _forward(network.model, parts, setting.device)
        peer = PEERS[DEEPFOOL]
        if not is_installed(peer):
            return Finding(False, f"{own:.2f} s, {own / forward:.0f} forward passes; foolbox is not installed")
        method = peer.make(network.model, len(network.classes))
        some = parts[0]
        theirs = seconds(lambda: method(some), setting.device) * sum(map(len, parts)) / len(some)
    figures = {"seconds": own, "forward_equivalents": own / forward, "foolbox_seconds": theirs}
    return Finding(theirs >= 10 * own, f"{own:.2f} s; foolbox {theirs:.1f} s, x{theirs / own:.0f}", figures)


def pool(setting: Setting) -> Finding:
    """`score --nearest` of the pool from a cache, as a process from start to end: under 10 s; and the whole pool."""
    images = setting.images(POOL)
    setting.network()
    command = (
        "dfal_cli", "score", "--images", images.root, "--labels", images.labels, "--checkpoint",
        setting.folder / "network.safetensors", "--device", setting.device, "--cache", setting.folder / "cache",
        "--quiet", "--force",
    )  # fmt: skip
    figures = {}
    for name, further in (("cold", ("--nearest", NEAREST)), ("nearest", ("--nearest", NEAREST)), ("everything", ())):
        started = time.perf_counter()
        run_process(*command, "--out", setting.folder / f"{name}.parquet", *further)
        figures[name] = time.perf_counter() - started
    return Finding(
        figures["nearest"] < 10 and figures["everything"] < 10,
        "seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in figures.items()), figures,
    )  # fmt: skip


def nearest(setting: Setting) -> Finding:
    """The nearest 1 % on LeNet5: at most 2 forward equivalents, and the same set as scoring everything."""
    network = setting.network(str(setting.device))
    return _nearest(setting, network.model, setting.floats(POOL), most=2)


def photos(setting: Setting, **training: Any) -> Finding:
    """The nearest 1 % of pictures of 224 pixels in colour: at most 3, and the same set. training: of the network."""
    images, side = setting.images(600), 64 if setting.small else 224
    if setting.small and "epochs" in training:
        training["epochs"] = 1
    options = TrainOptions(
        images=images.root, labels=[images.labels], out=setting.folder / "photos.safetensors", image_size=side,
        device=str(setting.device), force=True, **training,
    )  # fmt: skip
    train(options, Silent())
    network = load_checkpoint(options.out, str(setting.device))
    small = setting.floats(32 if setting.small else SCORED_PHOTOS)
    large = [interpolate(part, (side, side), mode="bilinear").expand(-1, 3, -1, -1) for part in small.split(100)]
    return _nearest(setting, network.model, torch.cat(large), most=3)


def _nearest(setting: Setting, model: nn.Module, images: Tensor, most: float) -> Finding:
    device, shape = setting.device, (images.shape[1], images.shape[2], images.shape[3])
    model = model.to(device).eval().requires_grad_(False)
    pixels = (255 * images).round().to(torch.uint8).numpy()
    size = first_batch_size(device, shape)
    trained = Trained(model, pixels, tuple("abcdefghij"), "drawn", accuracy=0.0, stem="drawn", batch=size)
    count = max(len(pixels) // 100, 1)
    with tf32(allowed=False):
        everything = score_in_memory(trained, count, device, everything=True)
        found: list[Scored] = []
        cost = seconds(lambda: found.append(score_in_memory(trained, count, device, everything=False)), device)
        forward = _forward(model, (torch.from_numpy(pixels).to(device).float() / 255).split(size), device)
    missing = len(everything.smallest(count) - found[-1].smallest(count))
    return Finding(
        missing == 0 and (cost <= most * forward or setting.small),
        f"{cost:.2f} s, {cost / forward:.1f} forward equivalents; {missing} of {count} missing",
        {"seconds": cost, "forward_equivalents": cost / forward, "missing": missing},
    )


def embedding(setting: Setting) -> Finding:
    """`embed` of decoded photos beside the forward pass alone in bfloat16: at least 70 % of its speed."""
    count = 32 if setting.small else PHOTOS
    pixels = torch.randint(256, (count, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    model = load_backbone("lite0").model.to(setting.device).eval().to(memory_format=torch.channels_last)
    parts = pixels.split(first_batch_size(setting.device, (3, 224, 224)))
    own = seconds(lambda: [embed_pixels(model, on_device(part, setting.device)) for part in parts], setting.device)
    ready = (parts[0].to(setting.device).float() / 255).contiguous(memory_format=torch.channels_last)

    def forward() -> None:
        with torch.inference_mode(), torch.autocast(setting.device.type, torch.bfloat16):
            for _ in parts:
                model(ready)

    alone = seconds(forward, setting.device) * count / (len(parts) * len(ready))
    share = alone / own
    return Finding(
        share >= 0.7 or setting.device.type == "cpu",
        f"{count / own:.0f} images/s, {share:.0%} of the forward pass alone",
        {"images_per_second": count / own, "share_of_forward": share},
    )


def idle(setting: Setting) -> Finding:
    """Share of the wall time in which no kernel runs while `score` reads from a cache: under 30 %."""
    images = setting.images(POOL)
    setting.network()
    options = ScoreOptions(
        images=images.root, labels=[images.labels], checkpoint=setting.folder / "network.safetensors", force=True,
        out=setting.folder / "idle.parquet", device=str(setting.device), cache=setting.folder / "cache",
        candidates=200 if setting.small else POOL // 3,
    )  # fmt: skip
    score(options, Silent())  # fills the cache, and warms up
    if setting.device.type != "cuda":
        return Finding(None, "no kernels on a CPU")
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        started = time.perf_counter()
        score(options, Silent())
        torch.cuda.synchronize(setting.device)
        wall = time.perf_counter() - started
    # operators of the host have the times of their kernels as well
    kernels = [event for event in profiled.key_averages() if event.device_type == DeviceType.CUDA]
    busy = sum(event.self_device_time_total for event in kernels) / 1e6
    top = sorted(kernels, key=lambda event: -event.self_device_time_total)[:3]
    names = ", ".join(f"{event.key} {event.self_device_time_total / 1e4 / wall:.0f} %" for event in top)
    return Finding(busy / wall >= 0.7, f"idle {1 - busy / wall:.0%} of the time; most: {names}", {"busy": busy / wall})


def _forward(model: nn.Module, parts: tuple[Tensor, ...], device: torch.device) -> float:
    def forward() -> None:
        with torch.no_grad():
            for part in parts:
                model(part)

    return seconds(forward, device)


SPEED: dict[str, Callable[[Setting], Finding]] = {
    "margins-speed": margins, "pool": pool, "nearest": nearest,
    "photos-resnet50": partial(photos, arch="resnet50", grey=False, epochs=5),
    "photos-lite0": partial(photos, freeze=True), "embedding-speed": embedding, "idle": idle,
}  # fmt: skip

"""Every step computes on the device it is given, shown on a GPU that is only pretended."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from dfal_cli.margins import deepfool
from dfal_cli.margins.estimators import ESTIMATORS
from dfal_cli.models.network import build_network
from dfal_cli.models.seeding import seeded
from dfal_cli.steps.embed.command import embed
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.steps.score.command import score
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.reporting import Silent
from tests.conftest import write
from tests.pretended_gpu import PretendedGpu
from tests.steps.embedding import draw_photos

CLASSES = ("left", "middle", "right")


@pytest.fixture
def project(in_tmp: Path) -> Path:
    """Sixty grey images of three classes, 24 of them labelled."""
    generator = np.random.default_rng(0)
    (in_tmp / "images").mkdir()
    names = [f"{number:02d}.png" for number in range(60)]
    for number, name in enumerate(names):
        pixels = generator.integers(0, 80, (16, 16)).astype(np.uint8)
        pixels[:, 5 * (number % 3) : 5 * (number % 3) + 5] += 100
        Image.fromarray(pixels).save(in_tmp / "images" / name)
    rows = [f"{name},{CLASSES[number % 3]}" for number, name in enumerate(names[:24])]
    write(in_tmp / "labels.csv", "image,label", *rows)
    return in_tmp


def lenet5() -> torch.nn.Module:
    with seeded(0, torch.device("cpu")):
        return build_network("lenet5", 10, (1, 28, 28)).eval()


def some_images() -> torch.Tensor:
    return torch.rand(48, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_mixing_devices_fails() -> None:
    with PretendedGpu():
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert (there.device, (2 * there).is_cuda, here.device.type) == (torch.device("cuda", 0), True, "cpu")
        with pytest.raises(RuntimeError, match="same device"):
            there + here
        with pytest.raises(RuntimeError, match="same device"):
            here[there.long()] = there
        with pytest.raises(RuntimeError, match="generator"):
            there.uniform_(generator=torch.Generator())
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert (there.cpu() + here).tolist() == (there + here.to(there)).tolist() == [2, 2, 2]


def test_gradients_are_on_the_device_of_the_weights() -> None:
    with PretendedGpu() as gpu:
        layer = torch.nn.Linear(3, 2).to("cuda")
        layer(torch.ones(1, 3, device="cuda")).sum().backward()
        assert layer.weight.grad is not None
        assert gpu.has(layer.weight.grad)


def test_waits_for_the_gpu_are_counted() -> None:
    with PretendedGpu() as gpu:
        values = torch.arange(4.0, device="cuda")
        for look in (values.sum().item, values.tolist, values.cpu, values.nonzero, lambda: values[values > 1]):
            gpu.waits.clear()
            look()
            assert sum(gpu.waits.values()) == 1


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_margins_on_a_gpu_are_those_on_the_cpu(estimator: str, norm: str, clip: bool) -> None:
    network, images = lenet5(), some_images()
    expected = ESTIMATORS[estimator](network, images, norm=norm, clip=clip)
    with PretendedGpu() as gpu:
        found = ESTIMATORS[estimator](network.to("cuda"), images.to("cuda"), norm=norm, clip=clip)
        assert all(map(gpu.has, found))
        assert found.crossing_class.tolist() == expected.crossing_class.tolist()
        np.testing.assert_allclose(found.margin.cpu(), expected.margin, rtol=1e-3)


def test_a_step_of_deepfool_waits_for_the_gpu_once_for_each_class_examined_and_twice_besides() -> None:
    network, images = lenet5(), some_images()
    with PretendedGpu() as gpu:
        network, images = network.to("cuda"), images.to("cuda")
        gpu.waits.clear()
        crossing = deepfool(network, images, give_up_beyond=1e9)
        waits = gpu.waits.copy()
        steps = int(crossing.iterations.max())
    by_function = {line.rsplit(" ", 1)[1]: count for line, count in waits.items()}
    assert steps > 1
    assert by_function.keys() == {"indices_of", "of"}  # `of`: the predicted classes, before the first step
    assert by_function["of"] == 1
    assert by_function["indices_of"] <= 1 + steps * (3 + 9)  # crossed, gradient, limit; ten classes


def run_steps(device: str, **training: Any) -> pd.DataFrame:
    """Train on the device and score with every measure; return the scores."""
    images, labels, checkpoint, scores = map(
        Path, ("images", "labels.csv", f"{device}.safetensors", f"{device}.parquet")
    )
    common: dict[str, Any] = {"images": images, "labels": [labels], "device": device}
    train(TrainOptions(out=checkpoint, arch="lenet5", epochs=3, **common, **training), Silent())
    measures = ["bald", "egl", "embedding", "probabilities"]
    options = ScoreOptions(checkpoint=checkpoint, out=scores, nearest=10, twins=5, measure=measures, **common)
    assert score(options, Silent()).counts["twins"] == 5
    return pd.read_parquet(scores).set_index("image")


def test_train_and_score_on_a_gpu_give_the_results_of_the_cpu(project: Path) -> None:
    write(project / "held_out.csv", "image,label", *(project / "labels.csv").read_text().splitlines()[1:7])
    training = {"validation": [Path("held_out.csv")], "test": [Path("held_out.csv")], "augment": "photo"}
    expected = run_steps("cpu", **training)
    with PretendedGpu():
        found = run_steps("cuda", **training)
    assert found["outcome"].tolist() == expected["outcome"].tolist()
    for column in ("confidence", "entropy", "margin", "bald", "egl"):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-3, atol=1e-6)
    for column in ("embedding", "probabilities"):
        np.testing.assert_allclose(np.stack(found[column]), np.stack(expected[column]), rtol=1e-3, atol=1e-5)


def test_embed_on_a_gpu_gives_the_embeddings_of_the_cpu(in_tmp: Path) -> None:
    draw_photos(in_tmp)

    def embedded(device: str) -> np.ndarray:
        out = Path(f"{device}.parquet")
        embed(EmbedOptions(images=Path("photos"), out=out, backbone="mine:quarters", device=device), Silent())
        return np.stack(pd.read_parquet(out)["embedding"])

    expected = embedded("cpu")
    with PretendedGpu():
        np.testing.assert_allclose(embedded("cuda"), expected, atol=1e-3)

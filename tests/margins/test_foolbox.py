"""Agreement with an independent implementation, on a network trained on sample_data."""

import pytest
import torch

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.images import decode_image
from dfal_cli.margins import deepfool
from tests.conftest import SAMPLE_DATA, dfal

foolbox = pytest.importorskip("foolbox")

OUT_OF_REACH = 1e3
"""foolbox clips to the bounds it is given; the paper does not clip."""


@pytest.fixture(scope="module")
def lenet5(tmp_path_factory):
    out = tmp_path_factory.mktemp("foolbox") / "model.safetensors"
    ended = dfal(
        "train", "--images", SAMPLE_DATA / "images", "--labels", SAMPLE_DATA / "oracle.csv", "--out", out,
        "--arch", "lenet5", "--epochs", 4, "--quiet", "--device", "cpu",
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    return load_checkpoint(out)


@pytest.fixture(scope="module")
def images(lenet5):
    names = sorted((SAMPLE_DATA / "images").rglob("*.png"))[::5]
    pixels = [torch.from_numpy(decode_image(name, lenet5.input_shape).copy()) for name in names]
    return torch.stack(pixels).float() / 255


@pytest.mark.parametrize("candidates", [2, None])
def test_margins_agree_with_foolbox_within_five_per_cent_for_95_per_cent_of_the_images(lenet5, images, candidates):
    attack = foolbox.attacks.L2DeepFoolAttack(steps=50, candidates=candidates, overshoot=0.02, loss="logits")
    wrapped = foolbox.PyTorchModel(lenet5.model, bounds=(-OUT_OF_REACH, OUT_OF_REACH), device="cpu")
    predicted = lenet5.model(images).argmax(1)
    theirs, _, success = attack(wrapped, images, predicted, epsilons=None)
    their_margin = torch.linalg.vector_norm((theirs - images).flatten(1), dim=1)
    ours = deepfool(lenet5.model, images, norm="l2", max_iterations=50, overshoot=0.02, classes=candidates)
    both = ours.crossed & success
    assert both.float().mean() > 0.95
    agree = (ours.margin / their_margin - 1).abs() < 0.05
    assert agree[both].float().mean() >= 0.95

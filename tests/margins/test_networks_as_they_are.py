"""Whatever a network is made of, its margins are those of the plain way: all classes, one by one, one image at a time.

The estimators take short cuts: through thin first convolutions, by the weights of the last layer, by one trace for all
classes. Here are the networks that short cuts stumble over.
"""

import math

import pytest
import torch
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer

from dfal_cli.margins import ESTIMATORS, deepfool
from dfal_cli.models import build_network, seeded
from tests.margins.networks import Then, convolutional_network, random_images
from tests.margins.odd_networks import CLASSES, ODD_NETWORKS, Viewing, small_network
from tests.margins.plain_deepfool import assert_as_plain, plain_margins


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ODD_NETWORKS)
def test_margins_are_the_plain_ones(name):
    assert_as_plain(ODD_NETWORKS[name](), random_images(8, seed=1))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_network_that_takes_no_empty_batch_is_never_given_one(name):
    crossing = ESTIMATORS[name](Viewing(), random_images(8, seed=1), give_up_beyond=1e-9)
    assert not crossing.crossed.any()
    assert ESTIMATORS[name](Viewing(), random_images(8, seed=1)).crossed.all()


def test_margins_of_channels_last_images_are_the_plain_ones():
    assert_as_plain(small_network(), random_images(8, seed=1).to(memory_format=torch.channels_last))


def test_margins_of_a_compiled_network_are_the_plain_ones():
    compiled = torch.compile(small_network(), backend="aot_eager")  # the backend that needs no compiler of C++
    expected = [plain_margins(small_network(), random_images(8, seed=1), norm) for norm in ("l2", "linf")]
    for norm, margins in zip(("l2", "linf"), expected, strict=True):
        torch.testing.assert_close(
            deepfool(compiled, random_images(8, seed=1), norm=norm).margin, margins, rtol=1e-5, atol=0
        )


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_network_that_computes_in_16_bits_inside_has_margins(name):
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = small_network(torch.float32)

        def forward(self, images):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.body(images)

    crossing = ESTIMATORS[name](Mixed(), random_images(8, dtype=torch.float32))
    assert crossing.crossed.all()
    assert crossing.margin.dtype == torch.float32


def changed_in_place(model):
    return Then(model, after=lambda logits: logits.mul_(torch.tensor([1.0, 1, 100])))


def changed_by_a_hook(model):
    model[1].register_forward_hook(lambda layer, inputs, output: output * torch.tensor([1.0, 1, 100]))
    return model


def changed_by_another_forward(model):
    layer, own = model[1], model[1].forward
    layer.forward = lambda features: own(features) * torch.tensor([1.0, 1, 100])
    return model


@pytest.mark.parametrize("change", [changed_in_place, changed_by_a_hook, changed_by_another_forward])
def test_a_last_layer_whose_output_is_changed_afterwards_rules_no_class_out(change):
    # gaps 1 and 10, gradient norms 1 and, by the change, 100: the second class is ten times nearer
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[0.0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]]))
        model[1].bias.copy_(torch.tensor([10.0, 9, 0]))
    assert deepfool(change(model), torch.zeros(1, 1, 2, 2)).margin.item() == pytest.approx(0.1 * 1.02)


class CountsBackwardPasses(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.passes = model, 0

    def forward(self, images):
        if images.requires_grad:
            images.register_hook(self._count)
        return self.model(images)

    def _count(self, gradient):
        self.passes += 1


@pytest.mark.parametrize("classes", [10, None])
def test_of_a_thousand_classes_few_are_looked_at(classes):
    model, images = CountsBackwardPasses(small_thousand()), random_images(2)
    expected = plain_margins(model.model, images, classes=classes)
    crossing = deepfool(model, images, classes=classes)
    torch.testing.assert_close(crossing.margin, expected, rtol=1e-5, atol=0)
    assert model.passes < 100


def small_thousand():
    """Of its thousand classes, as in a trained network, all but twenty are improbable."""
    model = convolutional_network(1000)
    with torch.no_grad():
        model[-1].bias[20:] -= 60
    return model


def test_classes_with_the_same_weights_do_not_have_all_others_looked_at():
    model, images = small_thousand(), random_images(2)
    predicted = model(images).argmax(1)[0]
    with torch.no_grad():
        model[-1].weight[500:] = model[-1].weight[predicted]  # there is no way from one of these to another
    model = CountsBackwardPasses(model)
    assert deepfool(model, images[:1]).crossed.all()
    assert model.passes < 100


def tiny_vit():
    body = VisionTransformer(
        image_size=28, patch_size=7, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=CLASSES
    )
    nn.init.normal_(body.heads.head.weight)  # torchvision leaves it at zero
    return body


def tiny_swin():
    return SwinTransformer(
        patch_size=[4, 4],
        embed_dim=8,
        depths=[2, 2],
        num_heads=[2, 2],
        window_size=[3, 3],
        stochastic_depth_prob=0.5,
        num_classes=CLASSES,
    )


ARCHITECTURES = {
    "vit": (tiny_vit, (3, 28, 28)),
    "swin": (tiny_swin, (3, 32, 32)),
    "lenet5": (lambda: build_network("lenet5", CLASSES, (1, 28, 28)), (1, 28, 28)),
    "resnet18, grey": (lambda: build_network("resnet18", CLASSES, (1, 28, 28)), (1, 28, 28)),
    "resnet18": (lambda: build_network("resnet18", CLASSES, (3, 64, 64)), (3, 64, 64)),
    "mobilenet": (lambda: build_network("mobilenet_v3_small", CLASSES, (3, 64, 64)), (3, 64, 64)),
    "squeezenet, large": (lambda: build_network("squeezenet1_1", CLASSES, (1, 512, 512)), (1, 512, 512)),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_margins_of_known_architectures_are_the_plain_ones(name):
    build, shape = ARCHITECTURES[name]
    with seeded(0, torch.device("cpu")):
        model = build().double()
    count = 1 if math.prod(shape) > 2**17 else 2
    images = torch.rand(count, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_as_plain(model.eval(), images, norms=["l2"], rtol=1e-4)

"""Whatever a network is made of, its margins are those of the plain way: all classes, one by one, one image at a time.

The estimators take short cuts: through thin first convolutions, by the weights of the last layer, by one trace for all
classes. Here are the networks that short cuts stumble over.
"""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.models import SwinTransformer, VisionTransformer

from dfal_cli.margins import ESTIMATORS, deepfool, refined
from dfal_cli.margins.norms import NORMS
from dfal_cli.models import build_network, seeded
from tests.margins.networks import Then, convolutional_network, fill, random_images

CLASSES = 5


def plain_margins(model: nn.Module, images: Tensor, norm: str = "l2", classes: int | None = None) -> Tensor:
    """DeepFool as the paper has it, with overshoot 0.02; nan where it has not crossed after 50 steps."""
    return torch.stack([plain_margin(model, image[None], norm, classes) for image in images])


def plain_margin(model: nn.Module, image: Tensor, norm: str, classes: int | None) -> Tensor:
    perturbation = torch.zeros_like(image)
    clean = model(image.clone())[0].detach()
    candidates = clean.argsort(descending=True)[:classes].tolist()
    for _ in range(51):
        point = (image + 1.02 * perturbation).detach().requires_grad_()
        logits = model(point.clone())[0]
        if logits.argmax() != candidates[0]:
            return 1.02 * NORMS[norm].length(perturbation)[0]
        steps = [step_to(logits[k] - logits[candidates[0]], point, norm) for k in candidates[1:]]
        perturbation = perturbation + min(steps, key=NORMS[norm].length)
    return torch.tensor(torch.nan, dtype=image.dtype)


def step_to(lead: Tensor, point: Tensor, norm: str) -> Tensor:
    """The smallest step that makes the lead, were it linear, nothing."""
    (w,) = torch.autograd.grad(lead, point, retain_graph=True)
    return lead.detach().abs() * (w / w.norm() ** 2 if norm == "l2" else w.sign() / w.abs().sum())


def state_of(model):
    return (
        [(module.training, sorted(set(vars(module)) - {"training"})) for module in model.modules()],
        [len(module._forward_hooks) for module in model.modules() if isinstance(module, nn.Linear)],
        [parameter.requires_grad for parameter in model.parameters()],
    )


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_as_plain(model, images, norms=("l2", "linf"), rtol=1e-5, classes=None):
    """DeepFool's margins are the plain ones, refined ones are no larger, and the model is as it was.

    Not of all images: of 200 DeepFool may rule out one class too many, by the factors in boundary.py.
    """
    before, weights = state_of(model), weights_of(model)
    for norm in norms:
        expected = plain_margins(model, images, norm, classes)
        assert expected.isfinite().any()
        first, tight = (estimator(model, images, norm=norm, classes=classes) for estimator in (deepfool, refined))
        torch.testing.assert_close(first.margin, expected, rtol=rtol, atol=0, equal_nan=True)
        assert torch.equal(tight.crossed, first.crossed)
        assert (tight.margin <= first.margin)[first.crossed].all()
    assert state_of(model) == before
    torch.testing.assert_close(weights_of(model), weights, rtol=0, atol=0)


def small_network(dtype=torch.float64):
    return convolutional_network(CLASSES, dtype=dtype)


class OneByOne(nn.Module):
    """Its layers see images without a batch dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.rest = small_network()[0], small_network()[1:]

    def forward(self, images):
        return self.rest(torch.stack([self.first(image) for image in images]))


class CalledTwice(nn.Module):
    """A convolution at two places, and a last layer that serves another head as well."""

    def __init__(self) -> None:
        super().__init__()
        self.thin, self.body = fill(nn.Conv2d(3, 3, 3, padding=1), 0).double(), small_network()

    def forward(self, images):
        features = self.body[:-1](self.thin(self.thin(images)))
        logits = self.body[-1](features)
        self.body[-1](3 * features)
        return logits


class OtherWeights(nn.Module):
    """Called with other weights than its own: an ensemble's, or a moving average's."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.average = small_network(), [dict(fill(small_network(), 3).named_parameters())]

    def forward(self, images):
        return torch.func.functional_call(self.body, {k: v.detach() for k, v in self.average[0].items()}, images)


class WeightsFromTheImage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = small_network()

    def forward(self, images):
        own = self.body[0].weight
        each = [{"0.weight": own * (1 + image.mean())} for image in images]
        parts = zip(each, images.split(1), strict=True)
        return torch.cat([torch.func.functional_call(self.body, weights, image) for weights, image in parts])


class Vmapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = small_network()

    def forward(self, images):
        return torch.vmap(lambda image: self.body(image[None])[0])(images)


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = small_network()

    def forward(self, images):
        return self.body[3:](checkpoint(self.body[:3], images, use_reentrant=False))


class Viewing(nn.Module):
    """Does not take an empty batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body = small_network()

    def forward(self, images):
        features = self.body[:4](images)
        return self.body[5:](features.view(features.size(0), -1))


def wrapped(wrap):
    model = small_network()
    for place in (0, 5, 7):
        wrap(model[place])
    return model.eval()


def in_place(model=None):
    model = model or small_network()
    model[2], model[3], model[6] = nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True), nn.ReLU(inplace=True)
    return model.eval()


ODD_NETWORKS = {
    "batch norm, dropout": small_network,
    "in place": in_place,
    "channels last": lambda: in_place().to(memory_format=torch.channels_last),
    "one by one": OneByOne,
    "layers called twice": CalledTwice,
    "other weights": OtherWeights,
    "weights from the image": WeightsFromTheImage,
    "vmap": Vmapped,
    "checkpointed": Checkpointed,
    "weight norm": lambda: wrapped(nn.utils.parametrizations.weight_norm),
    "spectral norm": lambda: wrapped(nn.utils.parametrizations.spectral_norm),
    "scripted": lambda: torch.jit.script(small_network()),
    "data parallel": lambda: nn.DataParallel(small_network()),
    "log-softmax": lambda: nn.Sequential(small_network(), nn.LogSoftmax(1)),
    "convolution last": lambda: fill(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()), 3
    ).double(),
}


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

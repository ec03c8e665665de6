"""Networks by name."""

import pytest
import torch
from torch import nn

from dfal_cli.errors import UsageError
from dfal_cli.models import Network, Normalisation, build_network, seeded, torchvision_networks
from dfal_cli.training.architecture import default_architecture

MNIST = (1, 28, 28)
CPU = torch.device("cpu")


def parameters_of(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("name", "count"), [("lenet5", 166_936), ("vgg8", 6_641_930)])
def test_the_papers_networks_have_the_papers_parameter_counts_on_mnist(name, count):
    assert parameters_of(build_network(name, 10, MNIST)) == count


@pytest.mark.parametrize("name", ["lenet5", "vgg8"])
def test_the_papers_networks_start_with_glorot_uniform_weights_and_zero_biases(name):
    for layer in build_network(name, 10, MNIST).modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            area = layer.weight[0, 0].numel() if layer.weight.dim() > 2 else 1
            bound = (6 / ((layer.weight.shape[0] + layer.weight.shape[1]) * area)) ** 0.5
            assert layer.bias.abs().max() == 0
            assert 0.5 * bound < layer.weight.abs().max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize("name", [name for name in torchvision_networks.names() if not name.startswith("regnet")])
def test_every_torchvision_network_returns_one_logit_per_class(name):
    # The meta device computes shapes, at no cost. RegNet's constructor reads values and is built for real below.
    with torch.device("meta"), torch.no_grad():
        body = torchvision_networks.build(name, 3, (3, 224, 224)).eval()
        assert body(torch.zeros(2, 3, 224, 224)).shape == (2, 3)


def test_quantised_networks_and_other_tasks_are_not_offered():
    names = torchvision_networks.names()
    assert {"resnet18", "vit_b_16", "regnet_y_8gf", "inception_v3", "maxvit_t"} <= set(names)
    assert not [name for name in names if "quantized" in name or "rcnn" in name or "fcn" in name or "r3d" in name]


SMALLEST_OF_EACH_FAMILY = {
    "alexnet": 64, "convnext_tiny": 32, "densenet121": 32, "efficientnet_b0": 32, "efficientnet_v2_s": 32,
    "googlenet": 32, "inception_v3": 80, "maxvit_t": 224, "mnasnet0_5": 32, "mobilenet_v2": 32,
    "mobilenet_v3_small": 32, "regnet_x_400mf": 32, "regnet_y_400mf": 32, "resnet18": 32, "resnext50_32x4d": 32,
    "shufflenet_v2_x0_5": 32, "squeezenet1_1": 32, "swin_t": 32, "swin_v2_t": 32, "vit_b_32": 32,
}  # fmt: skip


@pytest.mark.parametrize(("name", "side"), SMALLEST_OF_EACH_FAMILY.items())
def test_a_network_of_each_family_accepts_grey_and_colour_images(name, side):
    grey, colour = (build_network(name, 3, (channels, side, side)).eval() for channels in (1, 3))
    colour.load_state_dict(grey.state_dict())
    image = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = grey(image)
        assert logits.shape == (2, 3)
        torch.testing.assert_close(colour(image.expand(-1, 3, -1, -1)), logits)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("lenet5", (1, 15, 28)), ("vgg8", (3, 15, 15)), ("alexnet", (3, 32, 32)), ("vit_b_32", (3, 40, 40)),
     ("inception_v3", (3, 32, 32))],
)  # fmt: skip
def test_an_unsupported_size_is_refused_with_supported_ones(name, shape):
    with pytest.raises(
        UsageError, match=rf"{name} does not accept {shape[2]}x{shape[1]}.*use another --image-size, such as.* \d+"
    ) as said:
        build_network(name, 3, shape)
    first = int(str(said.value).split("such as ")[1].split(",")[0])
    with torch.no_grad():
        assert build_network(name, 3, (shape[0], first, first)).eval()(torch.zeros(2, shape[0], first, first)).numel()


@pytest.mark.parametrize(("name", "meant"), [("resnet81", "resnet18"), ("lenet", "lenet5"), ("vgg_8", "vgg8")])
def test_an_unknown_name_is_refused_with_the_nearest_known_ones(name, meant):
    with pytest.raises(UsageError, match=rf"--arch {name}: no such network; did you mean .*{meant}"):
        build_network(name, 3, MNIST)


def test_an_unknown_name_unlike_all_others_is_refused_with_the_possible_choices():
    with pytest.raises(UsageError, match=r"package\.module:function"):
        build_network("qqqqqqq", 3, MNIST)


def test_small_images_get_lenet5_and_large_ones_a_resnet():
    assert default_architecture((1, 28, 28)) == "lenet5"
    assert default_architecture((3, 64, 64)) == "lenet5"
    assert default_architecture((3, 65, 64)) == "resnet18"


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 17), (3, 64, 64), (1, 16, 64)])
def test_lenet5_and_vgg8_accept_images_of_16_pixels_or_more(shape):
    for name in ("lenet5", "vgg8"):
        assert build_network(name, 2, shape)(torch.zeros(3, *shape)).shape == (3, 2)


def test_normalisation_happens_inside_the_model():
    network = Network(nn.Flatten(), Normalisation(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0)))
    assert network(torch.ones(1, 3, 1, 1)).tolist() == [[1.0, 3.0, 1.0]]
    assert network(torch.ones(1, 1, 1, 1)).tolist() == [[1.0, 3.0, 1.0]]  # grey, repeated
    assert network(torch.ones(1, 3, 1, 1, dtype=torch.float64)).dtype == torch.float64


def test_torchvisions_networks_get_imagenets_normalisation_and_the_papers_get_none():
    assert build_network("squeezenet1_1", 2, (3, 32, 32)).normalisation.mean == (0.485, 0.456, 0.406)
    assert build_network("lenet5", 2, MNIST).normalisation == Normalisation()


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "squeezenet1_1"])
def test_building_under_a_seed_is_reproducible_and_leaves_the_global_generator_alone(name):
    before = torch.get_rng_state()
    states = []
    for seed in (1, 1, 2):
        with seeded(seed, CPU):
            states.append(build_network(name, 3, (3, 32, 32)).state_dict())
    assert torch.equal(torch.get_rng_state(), before)
    same, different = (
        all(torch.equal(states[0][key], other[key]) for key in states[0]) for other in (states[1], states[2])
    )
    assert same
    assert not different


def test_a_new_network_is_in_training_mode_with_unchanged_statistics():
    network = build_network("resnet18", 3, (3, 32, 32))
    assert all(module.training for module in network.modules())
    assert network.body.bn1.num_batches_tracked == 0

"""BALD, against loops over sampled networks and against what can be worked out by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dfal_cli.errors import UsageError
from dfal_cli.measures import Settings
from dfal_cli.measures.bald import mutual_information
from tests.measures.networks import SETTINGS, images_for, lenet5, measured, network, with_batch_norm


def entropy(p):
    return -math.fsum(q * math.log(q) for q in p if q > 0)


class Recording(nn.Module):
    """Stands behind a dropout layer and keeps what comes out of it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, features):
        self.seen.append(features)
        return features


def test_bald_is_the_entropy_of_the_mean_less_the_mean_entropy_of_the_networks_that_its_masks_make():
    """One dropout and one linear layer: each mask, seen in the open, makes a linear network of its own."""
    seen, linear = Recording(), nn.Linear(12, 3).double()
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.4), seen, linear)
    images = 1 + images_for(3, 2, count=5).double()  # none is 0, so that a mask can be read off
    found = measured("bald", model, images)
    masks = [features / images.flatten(1) for features in seen.seen]
    assert len(masks) == SETTINGS.passes
    for mask in masks:
        assert torch.equal(mask > 0, (mask > 0)[:1].expand_as(mask))  # one network for all images
        assert mask[mask > 0].tolist() == pytest.approx([1 / 0.6] * int((mask > 0).sum()))
    for image, value in zip(images.flatten(1), found, strict=True):
        each = [torch.softmax(linear.weight @ (image * mask[0]) + linear.bias, 0).tolist() for mask in masks]
        mean = [math.fsum(column) / len(each) for column in zip(*each, strict=True)]
        expected = entropy(mean) - math.fsum(map(entropy, each)) / len(each)
        assert value.item() == pytest.approx(expected, rel=1e-6)
        assert expected > 0.001


def test_many_passes_come_near_the_mean_over_all_masks():
    linear = nn.Linear(4, 2).double()
    linear.weight.data = torch.tensor([[2.0, -1.0, 1.0, 3.0], [-1.0, 2.0, 0.0, 1.0]], dtype=torch.float64)
    image = torch.tensor([[[[0.2, 0.9], [0.7, 0.4]]]], dtype=torch.float64)
    found = measured(
        "bald", nn.Sequential(nn.Flatten(), nn.Dropout(0.5), linear), image, SETTINGS._replace(passes=4000)
    )
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 2.0], dtype=torch.float64)] * 4)  # all 16 are equally likely
    each = linear(masks * image.flatten(1)).softmax(1)
    expected = entropy(each.mean(0).tolist()) - math.fsum(map(entropy, each.tolist())) / 16
    assert found.item() == pytest.approx(expected, rel=0.1)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(values=st.lists(st.lists(st.floats(-800, 800), min_size=3, max_size=3), min_size=2, max_size=6))
def test_bald_is_at_least_0_and_at_most_the_entropy_of_the_mean(values):
    log_p = torch.tensor(values, dtype=torch.float64).log_softmax(1)
    found = mutual_information(log_p[:, None]).item()
    assert 0 <= found <= entropy(log_p.exp().mean(0).tolist()) + 1e-12


def test_networks_that_agree_leave_nothing_to_learn_and_those_that_are_sure_of_different_classes_everything():
    sure = torch.tensor([[[0.0, -1e5]], [[-1e5, 0.0]]], dtype=torch.float64)
    assert mutual_information(sure).item() == pytest.approx(math.log(2))
    assert mutual_information(sure[[0, 0]]).item() == 0


def test_the_seed_decides_which_networks_are_sampled():
    model, images = lenet5(), images_for()
    first, again, other = (measured("bald", model, images, SETTINGS._replace(seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, rtol=1e-2)


def test_a_dropout_layer_called_twice_drops_differently_each_time_and_the_same_again_in_the_next_batch():
    dropout, seen = nn.Dropout(0.5), Recording()
    model = nn.Sequential(
        nn.Flatten(), dropout, seen, nn.Linear(784, 50), dropout, seen, nn.Linear(50, 50), dropout, seen
    )
    compute = measured("bald", model, images_for(), SETTINGS._replace(passes=2))
    first, seen.seen = [features == 0 for features in seen.seen], []
    assert torch.equal(measured("bald", model, images_for(), SETTINGS._replace(passes=2)), compute)
    dropped = [features == 0 for features in seen.seen]
    assert all(torch.equal(one, two) for one, two in zip(first, dropped, strict=True))
    assert not torch.equal(dropped[1], dropped[2])  # the second and third call of a pass
    assert not torch.equal(dropped[1], dropped[4])  # the same call of two passes


def test_dropout_of_channels_drops_all_of_a_channel():
    seen = Recording()
    model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Dropout2d(0.5), seen, nn.Flatten(), nn.Linear(16 * 26 * 26, 2))
    measured("bald", model, images_for())
    for features in seen.seen:
        dropped = (features == 0).flatten(2)
        assert (dropped.all(2) | ~dropped.any(2)).all()
        assert 0 < dropped.all(2).sum() < dropped.all(2).numel()


def test_batch_norm_stays_as_it_was_trained():
    model = with_batch_norm()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    measured("bald", model, images_for())
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())


@pytest.mark.parametrize(
    "model", [nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), nn.Dropout(0.0)], ids=["none", "p = 0"]
)
def test_a_network_without_dropout_is_a_usage_error_that_names_it(model):
    with pytest.raises(UsageError, match="--measure bald: resnet18 has no dropout layers"):
        measured("bald", model, images_for(), Settings("resnet18", 2, 0, print))


def test_vgg8_and_squeezenet_have_dropout_layers():
    assert (measured("bald", network("vgg8", 16, 1), images_for(1, 16)) > 0).all()
    assert (measured("bald", network("squeezenet1_0", 32), images_for(3, 32)) > 0).all()


def test_dropout_that_keeps_nothing_gives_zeros():
    seen = Recording()
    model = nn.Sequential(nn.Flatten(), nn.Dropout(1.0), seen, nn.Linear(784, 3))
    assert measured("bald", model, images_for()).tolist() == [0] * 6
    assert all((features == 0).all() for features in seen.seen)


def test_a_network_that_calls_none_of_its_dropout_layers_is_a_usage_error():
    class Uncalled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.dropout = nn.Linear(784, 3), nn.Dropout(0.5)

        def forward(self, images):
            return self.head(images.flatten(1))

    with pytest.raises(UsageError, match="--measure bald: a-network calls none of its dropout layers"):
        measured("bald", Uncalled(), images_for())

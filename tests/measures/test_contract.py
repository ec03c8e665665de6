"""What every measure keeps to."""

import pytest
import torch

from dfal_cli.measures import MEASURES
from tests.measures.networks import SETTINGS, images_for, lenet5, measured, with_batch_norm

NETWORKS = {"lenet5": lenet5, "batch norm": with_batch_norm}


@pytest.fixture(params=MEASURES)
def name(request):
    return request.param


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("size", [1, 7])
def test_an_image_gets_the_same_in_any_batch(name, build, size):
    model, images = build(), images_for(count=64)
    compute = MEASURES[name].prepare(model, SETTINGS)
    in_parts = torch.cat([compute(part) for part in images.split(size)])
    torch.testing.assert_close(in_parts, measured(name, model, images), rtol=1e-4, atol=1e-6)


def test_scalars_are_one_number_an_image_and_vectors_several(name):
    found = measured(name, lenet5(), images_for(count=5))
    assert found.dim() == (2 if MEASURES[name].vector else 1)
    assert len(found) == 5
    assert found.isfinite().all()
    assert not found.requires_grad


def test_the_model_and_the_images_are_left_as_they_were(name):
    model, images = with_batch_norm().train(), images_for()
    model[1].eval()
    model[0].weight.requires_grad_(False)
    model[-1].bias.grad = torch.ones(4)
    modes = [module.training for module in model.modules()]
    state = {key: values.clone() for key, values in model.state_dict().items()}
    given = images.clone()
    measured(name, model, images)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(values, state[key]) for key, values in model.state_dict().items())
    assert [weight.requires_grad for weight in model.parameters()].count(False) == 1
    assert torch.equal(model[-1].bias.grad, torch.ones(4))
    assert all(weight.grad is None for weight in list(model.parameters())[:-1])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(images, given)


def test_dropout_is_off_but_for_bald_and_nobody_draws_from_the_global_generator(name):
    model, images = lenet5().train(), images_for()
    before = torch.random.get_rng_state()
    found = measured(name, model, images)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(found, measured(name, model.eval(), images))


def test_an_image_that_is_not_finite_spoils_no_other(name):
    model, images = lenet5(), images_for()
    compute = MEASURES[name].prepare(model, SETTINGS)
    clean = compute(images)
    images[2] = torch.nan
    found = compute(images)
    others = [0, 1, 3, 4, 5]
    torch.testing.assert_close(found[others], clean[others], rtol=1e-4, atol=1e-6)
    assert found[2].isnan().all()


def test_probabilities_are_the_softmax():
    model, images = lenet5(), images_for()
    torch.testing.assert_close(measured("probabilities", model, images), model(images).softmax(1))

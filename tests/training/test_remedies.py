"""Advice for a network that has not learnt."""

import pytest

from dfal_cli.models import has_pretrained
from dfal_cli.training.remedies import what_to_try


def test_more_epochs_are_advised_if_the_best_epoch_was_the_last() -> None:
    assert what_to_try((1, 28, 28), at_last_epoch=True, may_start_pretrained=False) == (
        "more --epochs, --augment photo, or more labels"
    )
    assert "--epochs" not in what_to_try((1, 28, 28), at_last_epoch=False, may_start_pretrained=False)


@pytest.mark.parametrize(("side", "smaller"), [(64, False), (65, True), (224, True)])
def test_a_smaller_input_is_advised_only_if_it_is_large(side: int, smaller: bool) -> None:
    assert (
        "a smaller --image-size" in what_to_try((3, side, 8), at_last_epoch=None, may_start_pretrained=True)
    ) == smaller


def test_only_networks_of_torchvision_have_pretrained_weights() -> None:
    assert [name for name in ("lenet5", "vgg8", "resnet18", "own:network") if has_pretrained(name)] == ["resnet18"]

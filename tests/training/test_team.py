"""What the processes of a training compute: slices that together make a batch, weighted by their examples."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from dfal_cli.training.augment import augmented
from dfal_cli.training.team import SINGLE, Team


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 16, 23])
@pytest.mark.parametrize("smallest", [1, 2])
def test_the_weighted_mean_of_the_gradients_of_all_slices_is_that_of_the_batch(ranks, count, smallest) -> None:
    generator = torch.Generator().manual_seed(count)
    images, labels = torch.randn(23, 5, generator=generator), torch.randint(3, (23,), generator=generator)
    weights = torch.randn(5, 3, generator=generator, requires_grad=True)
    batch = torch.randperm(23, generator=generator)[:count]

    def gradient(items: torch.Tensor, scale: float) -> torch.Tensor:
        loss = F.cross_entropy(images[items] @ weights, labels[items]) * scale
        return torch.autograd.grad(loss, weights)[0]

    teams = [Team(number, ranks, smallest) for number in range(ranks)]
    slices = [(team.slice_of(batch), team.weight_of_slice(count)) for team in teams]
    of_ranks = sum(gradient(items, ranks * weight / count) for items, weight in slices) / ranks
    torch.testing.assert_close(of_ranks, gradient(batch, 1.0))
    assert sum(weight for _, weight in slices) == pytest.approx(count)
    assert all(len(items) >= min(smallest, 2) or count == 1 for items, _ in slices)


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 5, 23])
def test_each_item_is_evaluated_once(ranks: int, count: int) -> None:
    items = torch.arange(count)
    assert torch.cat([Team(number, ranks).part_of(items) for number in range(ranks)]).tolist() == items.tolist()


def test_a_single_process_computes_whole_batches_and_doubles_a_batch_of_one() -> None:
    batch = torch.tensor([4, 2, 9])
    assert SINGLE.slice_of(batch).tolist() == [4, 2, 9]
    assert SINGLE.slice_of(batch[:1]).tolist() == [4, 4]
    assert SINGLE.weight_of_slice(3) == 3 and SINGLE.weight_of_slice(1) == 1


def test_the_augmentation_of_an_image_depends_on_its_seed_alone() -> None:
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    seeds: list[Any] = [11, 12, 13, 14, 15, 16]
    before = torch.random.get_rng_state()
    whole = augmented(images, "photo", seeds)
    assert torch.equal(torch.random.get_rng_state(), before)
    parts = [augmented(images[start : start + 2], "photo", seeds[start : start + 2]) for start in (0, 2, 4)]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(augmented(images, "photo", seeds[::-1]), whole)

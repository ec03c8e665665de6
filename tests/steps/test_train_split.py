"""The validation split of the labelled images."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfal_cli.training.examples import Examples
from dfal_cli.training.split import SMALLEST_SPLIT, split_images

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60)
FRACTIONS = st.floats(0, 1)
SEEDS = st.integers(0, 1000)
ENOUGH_TO_SPLIT = st.lists(st.integers(0, 4), min_size=25, max_size=60)


def split(labels, fraction, seed, content_hashes=None):
    return split_images(
        torch.tensor(labels), content_hashes or [""] * len(labels), fraction, torch.Generator().manual_seed(seed)
    )


@settings(deadline=None)
@given(ENOUGH_TO_SPLIT, st.floats(0.4, 1), SEEDS, st.data())
def test_a_twin_stays_on_the_side_of_its_image_and_nothing_is_lost(labels, fraction, seed, data):
    count = len(labels)
    twin_of = torch.tensor(data.draw(st.lists(st.integers(0, count - 1), max_size=20)), dtype=torch.int64)
    names = torch.arange(count)  # each image's pixel is its own number, each twin's that of its image
    examples = Examples(
        names.to(torch.uint8)[:, None, None, None],
        torch.tensor(labels),
        twin_of.float()[:, None, None, None],
        twin_of,
    )
    chosen = split(labels, fraction, seed)
    sides = examples.of_images(~chosen), examples.of_images(chosen)
    assert all(len(side.labels) for side in sides)
    images = [side.images.flatten().tolist() for side in sides]
    assert sorted(images[0] + images[1]) == names.tolist()
    assert sum(len(side.twin_of) for side in sides) == len(twin_of)
    for side in sides:
        assert [side.images.flatten()[owner] for owner in side.twin_of] == side.twins.flatten().tolist()
        assert side.labels.tolist() == [labels[name] for name in side.images.flatten().tolist()]


@settings(deadline=None)
@given(LABELS, FRACTIONS, SEEDS)
def test_the_last_training_image_of_a_class_is_never_split_off(labels, fraction, seed):
    chosen = split(labels, fraction, seed)
    assert set(torch.tensor(labels)[~chosen].tolist()) == set(labels)


@settings(deadline=None)
@given(LABELS, FRACTIONS, SEEDS)
def test_at_most_the_fraction_is_split_off_and_no_split_is_too_small(labels, fraction, seed):
    chosen = int(split(labels, fraction, seed).sum())
    wanted = int(len(labels) * fraction)
    possible = len(labels) - len(set(labels))
    assert chosen == (min(wanted, possible) if wanted >= SMALLEST_SPLIT else 0)


@settings(deadline=None)
@given(ENOUGH_TO_SPLIT, st.floats(0.4, 0.9), SEEDS)
def test_the_split_is_stratified_and_leaves_one_image_of_each_class(labels, fraction, seed):
    chosen = split(labels, fraction, seed)
    wanted = int(len(labels) * fraction)
    of_class = {label: labels.count(label) for label in labels}
    if any(count * wanted / len(labels) > count - 1 for count in of_class.values()):
        return  # what a small class cannot give the others do
    for label, count in of_class.items():
        found = int(chosen[torch.tensor(labels) == label].sum())
        assert abs(found - count * wanted / len(labels)) < 1


def test_another_seed_splits_off_other_images_in_the_same_numbers():
    labels = [0] * 30 + [1] * 20 + [2] * 10
    first, second = (split(labels, 0.5, seed) for seed in (0, 1))
    assert not torch.equal(first, second)
    assert [int(part.sum()) for chosen in (first, second) for part in chosen.split([30, 20, 10])] == [15, 10, 5] * 2


@settings(deadline=None)
@given(LABELS, FRACTIONS, SEEDS)
def test_the_same_seed_gives_the_same_split(labels, fraction, seed):
    assert torch.equal(split(labels, fraction, seed), split(labels, fraction, seed))


def test_batches_of_examples_hold_the_requested_images_and_twins():
    examples = Examples(
        torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None],
        torch.tensor([3, 4]),
        torch.tensor([0.25])[:, None, None, None],
        torch.tensor([1]),
    )
    images, labels = examples.batch(torch.tensor([2, 1, 0]), torch.device("cpu"))
    assert images.flatten().tolist() == [0.25, 1.0, 0.0]
    assert labels.tolist() == [4, 4, 3]


def test_examples_are_the_same_whether_or_not_they_fit_on_the_device(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    examples = Examples(
        torch.randint(256, (5, 1, 3, 3), dtype=torch.uint8, generator=generator), torch.arange(5),
        torch.rand(2, 1, 3, 3, generator=generator), torch.tensor([4, 0]),
    )  # fmt: skip
    items = torch.tensor([6, 3, 0, 5])
    ready = examples.on_device(torch.device("cpu")).batch(items)
    monkeypatch.setattr("dfal_cli.training.examples.MAX_DEVICE_BYTES", 0)
    on_demand = examples.on_device(torch.device("cpu")).batch(items)
    assert all(torch.equal(one, other) for one, other in zip(ready, on_demand, strict=True))


PICTURES = st.lists(st.tuples(st.sampled_from(["", *"abcdefghijklmnopqrst"]), st.integers(0, 2)), min_size=25)


@settings(deadline=None)
@given(PICTURES, st.floats(0.4, 0.9), SEEDS)
def test_duplicates_are_on_one_side_and_every_class_is_trained_on(rows, fraction, seed):
    content_hashes, labels = map(list, zip(*rows, strict=True))
    chosen = split(labels, fraction, seed, content_hashes)
    sides = [
        {content_hashes[row] for row in range(len(rows)) if content_hashes[row] and chosen[row] == side}
        for side in (0, 1)
    ]
    assert not sides[0] & sides[1]
    assert set(torch.tensor(labels)[~chosen].tolist()) == set(labels)
    assert int(chosen.sum()) <= len(rows) * fraction


def test_a_split_of_pairs_of_duplicates_is_still_stratified():
    labels, content_hashes = [0] * 40 + [1] * 20, [str(row // 2) for row in range(60)]
    chosen = split(labels, 0.2, 0, content_hashes)
    assert [int(part.sum()) for part in chosen.split([40, 20])] == [8, 4]


def test_classes_too_small_for_a_pair_do_not_prevent_the_split_of_others():
    labels, content_hashes = [row // 6 for row in range(60)], [str(row // 2) for row in range(60)]
    assert int(split(labels, 0.2, 0, content_hashes).sum()) == 12

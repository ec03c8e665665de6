"""Groups of images that are copies of one picture."""

import numpy as np

from dfal_cli.strategies.copies import NEAR, SAMPLE, copy_groups
from dfal_cli.tables.vectors import unit_length


def apart(count: int, dimension: int = 32, seed: int = 0) -> np.ndarray:
    """Vectors of unit length in random directions, about sqrt(2) from each other."""
    return unit_length(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


def partners(groups: np.ndarray) -> list[list[int]]:
    """The groups of more than one image."""
    return [np.flatnonzero(groups == group).tolist() for group in np.unique(groups) if (groups == group).sum() > 1]


def test_identical_and_nearly_identical_embeddings_are_copies_and_others_are_not() -> None:
    vectors = apart(40)
    vectors[7] = vectors[3]
    vectors[20] = unit_length(vectors[[10]] + 0.01)[0]
    assert partners(copy_groups(vectors)) == [[3, 7], [10, 20]]


def test_a_copy_of_a_copy_is_in_the_same_group() -> None:
    vectors = apart(40)
    step = 0.8 * NEAR * np.median([np.sort(np.linalg.norm(vectors - one, axis=1))[1] for one in vectors])
    direction = np.linalg.svd(vectors[:1])[2][1].astype(np.float32)  # at a right angle to the first vector
    vectors[1], vectors[2] = unit_length(vectors[0] + np.array([[1], [2]]) * step * direction)
    assert partners(copy_groups(vectors)) == [[0, 1, 2]]


def test_the_scale_of_the_embeddings_does_not_matter() -> None:
    narrow = unit_length(np.float32([1] + [0] * 32) + 0.02 * np.pad(apart(40), ((0, 0), (1, 0))))
    assert partners(copy_groups(narrow)) == []


def test_copies_are_found_across_blocks() -> None:
    vectors = apart(2 * SAMPLE + 5, 8)
    vectors[-1] = vectors[0]
    groups = copy_groups(vectors)
    assert groups[0] == groups[-1]


def test_one_image_and_many_copies_of_one_image_are_one_group() -> None:
    assert copy_groups(apart(1)).tolist() == [0]
    assert copy_groups(np.repeat(apart(1), 5, axis=0)).tolist() == [0] * 5

"""core-set: k-center greedy as in the book, without a matrix of all distances."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfal_cli.strategies import Pool, pick_queries
from dfal_cli.strategies.k_center import distances_to_nearest, k_center_greedy

SEEDS = pytest.mark.parametrize("seed", range(20))


def brute_force(points: np.ndarray, centres: np.ndarray, count: int) -> list[int]:
    """Greedy by a matrix of the distances between everything and everything."""
    points, centres = points.astype(np.float64), centres.astype(np.float64)
    picked: list[int] = []
    for _ in range(count):
        everything = np.concatenate([centres, points[picked]])
        nearest = np.linalg.norm(points[:, None] - everything, axis=2).min(1)
        nearest[picked] = -1
        picked.append(int(nearest.argmax()))
    return picked


def radius(points: np.ndarray, centres: np.ndarray) -> float:
    """How far from all centres the farthest point is."""
    return float(np.linalg.norm(points[:, None] - centres, axis=2).min(1).max())


def test_points_on_a_line_are_picked_as_calculated_by_hand() -> None:
    """Labelled at 0; the pool at 1, 2, 6, 9 and 10: 10 is the farthest, then 6 (4), 2 (2), 1 and 9 (1 each)."""
    points = np.array([[1], [2], [6], [9], [10]], np.float32)
    assert k_center_greedy(points, np.zeros((1, 1), np.float32), 5).tolist() == [4, 2, 1, 0, 3]


def test_with_nothing_labelled_the_middle_comes_first() -> None:
    points = np.array([[0], [4], [5], [10]], np.float32)  # mean 4.75
    for centres in (None, np.empty((0, 1), np.float32)):
        assert k_center_greedy(points, centres, 4).tolist() == [2, 0, 3, 1]


@SEEDS
def test_it_picks_what_the_matrix_of_all_distances_says(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(seed)
    points = generator.standard_normal((150, 7)).astype(np.float32) * generator.uniform(0.01, 3, (150, 1))
    points = points.astype(np.float32)
    centres = generator.standard_normal((30, 7)).astype(np.float32)
    monkeypatch.setattr("dfal_cli.strategies.centres.BLOCK_BYTES", 700)
    assert k_center_greedy(points, centres, 60).tolist() == brute_force(points, centres, 60)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30), st.integers(1, 30))
def test_ties_and_duplicates_are_picked_as_the_matrix_says_by_position(
    pairs: list[tuple[int, int]], count: int
) -> None:
    points = np.array(pairs, np.float32)
    centres = np.array([[1, 2]], np.float32)
    count = min(count, len(points))
    assert k_center_greedy(points, centres, count).tolist() == brute_force(points, centres, count)


@SEEDS
def test_the_farthest_point_is_at_most_twice_as_far_as_the_best_choice_would_leave_it(seed: int) -> None:
    points = np.random.default_rng(seed).random((9, 2)).astype(np.float32)
    best = min(radius(points, points[list(some)]) for some in itertools.combinations(range(9), 3))
    assert radius(points, points[k_center_greedy(points, None, 3)]) <= 2 * best * (1 + 1e-6)


def test_a_copy_of_a_labelled_image_comes_last_and_one_that_differs_by_a_rounding_unit_does_not() -> None:
    far = np.array([1000, 2000, 3000], np.float32)
    nearly = np.nextafter(far, np.float32(np.inf))
    points = np.stack([far, far, nearly, far + 1])
    assert k_center_greedy(points, np.stack([far, -far]), 4).tolist() == [3, 2, 0, 1]


def test_distances_to_the_nearest_centre_are_exact_however_far_from_the_origin() -> None:
    generator = np.random.default_rng(0)
    centres = (1000 + generator.random((40, 6))).astype(np.float32)
    points = (centres[generator.integers(0, 40, 200)] + generator.random((200, 6)) * 1e-2).astype(np.float32)
    exact = ((points[:, None].astype(np.float64) - centres.astype(np.float64)) ** 2).sum(2).min(1)
    np.testing.assert_allclose(distances_to_nearest(points, centres), exact, rtol=1e-5)


def test_labelled_images_push_the_picks_away() -> None:
    table = pd.DataFrame({"image": ["a", "b", "c"], "embedding": list(np.eye(3, dtype=np.float32))})
    labelled = np.eye(3, dtype=np.float32)[:2] * np.float32(1.1)
    assert pick_queries(Pool(table, labelled), "core-set", 1, seed=0)["image"].tolist() == ["c"]

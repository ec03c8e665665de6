"""typical: one image for each cluster of embeddings, before anything is trained."""

import numpy as np
import pandas as pd
import pytest

from dfal_cli.strategies import Pool, pick_queries
from dfal_cli.strategies.typical import typical_points

SEEDS = pytest.mark.parametrize("seed", range(5))
DIRECTIONS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float32)


def clusters(sizes: list[int], spread: float = 0.05) -> np.ndarray:
    """Points around as many directions, cluster after cluster."""
    generator = np.random.default_rng(0)
    centres = np.repeat(DIRECTIONS[: len(sizes)], sizes, axis=0)
    return (centres + spread * generator.standard_normal(centres.shape)).astype(np.float32)


def cluster_of(positions: np.ndarray, sizes: list[int]) -> list[int]:
    return list(np.searchsorted(np.cumsum(sizes), positions, side="right"))


@SEEDS
def test_each_cluster_gets_one_query_and_the_largest_comes_first(seed: int) -> None:
    sizes = [10, 80, 40, 20]
    found = typical_points(clusters(sizes), None, 4, np.random.default_rng(seed))
    assert cluster_of(found, sizes) == [1, 2, 3, 0]


@SEEDS
def test_the_query_is_the_image_nearest_to_the_mean_of_its_cluster(seed: int) -> None:
    points = clusters([40, 60])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = typical_points(points, None, 2, np.random.default_rng(seed))
    for position, members in zip(sorted(found), (range(40), range(40, 100)), strict=True):
        distances = np.linalg.norm(points[members] - points[members].mean(0), axis=1)
        assert position == members[int(distances.argmin())]


@SEEDS
def test_a_cluster_that_holds_a_labelled_image_is_not_asked_about(seed: int) -> None:
    sizes = [60, 30, 20]
    labelled = 7 * DIRECTIONS[[0]]  # the length of an embedding does not matter
    found = typical_points(clusters(sizes), labelled, 2, np.random.default_rng(seed))
    assert cluster_of(found, sizes) == [1, 2]


def test_a_pool_that_coincides_with_labelled_images_is_listed_by_path() -> None:
    points = np.repeat(DIRECTIONS[:2], 3, axis=0)
    assert typical_points(points, DIRECTIONS, 4, np.random.default_rng(0)).tolist() == [0, 1, 2, 3]


def test_a_list_for_a_pool_larger_than_the_sample_takes_representatives_from_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dfal_cli.strategies.typical.SAMPLE", 50)
    points = clusters([100, 400])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    typical = typical_points(points, None, 2, np.random.default_rng(0))
    for position, members in zip(typical, (range(100, 500), range(100)), strict=True):
        nearer = np.linalg.norm(points[members] - points[members].mean(0), axis=1)
        assert nearer[position - members[0]] < np.quantile(nearer, 0.2)


def test_the_beginning_of_a_list_covers_the_pool_better_than_its_end() -> None:
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((60, 30)).astype(np.float32)
    points = centres[generator.integers(0, 60, 800)] + 0.6 * generator.standard_normal((800, 30)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = typical_points(points, None, 40, generator)
    distances = [((points[:, None] - points[some]) ** 2).sum(2).min(1).mean() for some in (found[:10], found[-10:])]
    assert distances[0] < distances[1]


def test_nothing_but_paths_and_embeddings_is_needed_before_anything_is_trained() -> None:
    table = pd.DataFrame({"image": [f"{n:03d}" for n in range(60)], "embedding": list(clusters([20, 40]))})
    for strategy in ("typical", "coverage", "core-set"):
        first = pick_queries(Pool(table), strategy, 2, seed=0)["image"].astype(int)
        assert set(cluster_of(first.to_numpy(), [20, 40])) == {0, 1}, strategy

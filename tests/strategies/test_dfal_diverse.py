"""dfal-diverse: small margins, one for each cluster of embeddings."""

import numpy as np
import pandas as pd
import pytest

from dfal_cli.strategies import SHORTLIST, Pool, pick_queries
from dfal_cli.strategies.k_means import k_means_representatives


def scores(margins: list[float], places: list[float]) -> Pool:
    """A pool of images 000, 001, ... with these margins and embeddings on a line."""
    embeddings = [np.array([place, 0], np.float32) for place in places]
    images = [f"{number:03d}" for number in range(len(margins))]
    return Pool(pd.DataFrame({"image": images, "margin": np.float32(margins), "embedding": embeddings}))


def picked(pool: Pool, count: int, seed: int = 0) -> list[str]:
    return pick_queries(pool, "dfal-diverse", count, seed)["image"].tolist()


def test_only_one_of_several_near_duplicates_is_queried() -> None:
    """Three copies hold the smallest margins; dfal would spend the whole batch on them."""
    pool = scores([0.1, 0.1, 0.1, 0.2, 0.3], [0, 0, 0, 5, 9])
    for seed in range(10):
        assert picked(pool, 3, seed)[1:] == ["003", "004"]


def test_the_image_nearest_to_the_weighted_mean_of_a_cluster_is_queried() -> None:
    """0, 1 and 2 are one cluster: weights 10, 1, 1 draw its mean to 0.25, nearest to 0; equal ones to its middle."""
    assert picked(scores([0.1, 1, 1, 0.5], [0, 1, 2, 50]), 2) == ["000", "003"]
    assert picked(scores([1, 1, 1, 0.5], [0, 1, 2, 50]), 2) == ["003", "001"]


def test_images_beyond_the_shortlist_are_not_queried() -> None:
    margins = [*np.linspace(1, 2, 2 * SHORTLIST), 3, 4]
    assert set(picked(scores(margins, [*range(2 * SHORTLIST), 1000, 2000]), 2)) < {f"{n:03d}" for n in range(20)}


def test_queries_are_ranked_by_margin() -> None:
    generator = np.random.default_rng(0)
    pool = scores(list(generator.random(100)), list(generator.random(100)))
    table = pick_queries(pool, "dfal-diverse", 10, 0)
    assert table["margin"].is_monotonic_increasing
    assert table["image"].is_unique


def test_images_without_a_margin_or_an_embedding_come_last() -> None:
    pool = scores([np.nan, 0.2, 0.1, 0.3], [0, 1, np.nan, 3])
    assert picked(pool, 4) == ["001", "003", "002", "000"]


def test_as_many_clusters_as_points_are_the_points() -> None:
    points = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    assert list(k_means_representatives(points, np.ones(7), 9, np.random.default_rng(0))) == list(range(7))


def test_coinciding_points_are_filled_up_by_the_largest_weights() -> None:
    points = np.zeros((5, 2), np.float32)
    weights = np.array([1.0, 5.0, 3.0, 4.0, 2.0])
    chosen = k_means_representatives(points, weights, 3, np.random.default_rng(0))
    assert list(chosen) == [0, 1, 3], "of the only cluster the first, and the two heaviest"


@pytest.mark.parametrize("seed", range(5))
def test_clusters_that_stand_clearly_apart_get_one_query_each(seed: int) -> None:
    generator = np.random.default_rng(seed)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
    points = (np.repeat(centres, 25, axis=0) + 0.1 * generator.standard_normal((100, 2))).astype(np.float32)
    found = k_means_representatives(points, 1 + generator.random(100), 4, generator)
    assert {int(position) // 25 for position in found} == {0, 1, 2, 3}


def test_the_chosen_points_leave_no_more_than_a_brute_force_run_of_k_means() -> None:
    """Mean squared distance to the nearest chosen point, against the best of 20 plain Lloyd runs that take means."""
    generator = np.random.default_rng(1)
    points = generator.standard_normal((200, 4)).astype(np.float32)
    best = min(_lloyd(points, 10, np.random.default_rng(seed)) for seed in range(20))
    found = k_means_representatives(points, np.ones(200), 10, generator)
    assert _left(points, points[found]) < 1.35 * best


def _left(points: np.ndarray, means: np.ndarray) -> float:
    return float(((points[:, None] - means) ** 2).sum(2).min(1).mean())


def _lloyd(points: np.ndarray, count: int, generator: np.random.Generator) -> float:
    means = points[generator.choice(len(points), count, replace=False)]
    for _ in range(100):
        nearest = ((points[:, None] - means) ** 2).sum(2).argmin(1)
        means = np.stack([points[nearest == k].mean(0) if (nearest == k).any() else means[k] for k in range(count)])
    return _left(points, means)

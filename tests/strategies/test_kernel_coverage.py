"""coverage: greedy kernel coverage as the formula says, without a matrix of all pairs where the pool is large."""

import itertools

import numpy as np
import pandas as pd
import pytest

from dfal_cli.strategies import Pool, pick_queries
from dfal_cli.strategies import kernel_coverage as module
from dfal_cli.strategies.directions import Directions
from dfal_cli.strategies.kernel_coverage import greedy_coverage
from dfal_cli.tables.vectors import unit_length

SEEDS = pytest.mark.parametrize("seed", range(10))


def around_mean(points: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Directions of points from the mean of others, in float64."""
    away = of.astype(np.float64) - points.mean(0, dtype=np.float64)
    shortest = 0.5 * np.sqrt(((points - points.mean(0)) ** 2).sum(1).mean())
    return away / np.linalg.norm(away, axis=1, keepdims=True).clip(shortest)


def covered(points: np.ndarray, uncertainty: np.ndarray, by: np.ndarray, width: float) -> float:
    """sum_i u_i max_c k(x_i, c), in float64."""
    squares = ((points[:, None].astype(np.float64) - by[None]) ** 2).sum(2)
    return float(uncertainty @ np.exp(-squares / width).max(1))


def width_of(points: np.ndarray, labelled: np.ndarray) -> float:
    return float(np.median(((points[:, None].astype(np.float64) - labelled[None]) ** 2).sum(2).min(1)))


def brute_force(points: np.ndarray, uncertainty: np.ndarray, labelled: np.ndarray, count: int) -> list[int]:
    """Greedy by the whole sum for every image that could be picked."""
    points, labelled = (around_mean(points, each) for each in (points, labelled))
    width = width_of(points, labelled)
    picked: list[int] = []
    for _ in range(count):
        left = [place for place in range(len(points)) if place not in picked]
        reached = [
            covered(points, uncertainty, np.concatenate([labelled, points[[*picked, one]]]), width) for one in left
        ]
        picked.append(left[int(np.argmax(reached))])
    return picked


def drawn(seed: int, count: int, size: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points in clusters, their uncertainty, and labelled points."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((5, size))
    points = centres[generator.integers(0, 5, count)] + 0.3 * generator.standard_normal((count, size))
    labelled = centres[:2] + 0.3 * generator.standard_normal((2, size))
    return (
        unit_length(points.astype(np.float32)),
        generator.random(count),
        unit_length(labelled.astype(np.float32)),
    )


@SEEDS
def test_it_picks_what_adds_most_to_the_sum(seed: int) -> None:
    points, uncertainty, labelled = drawn(seed, 60)
    picked = greedy_coverage(points, uncertainty, labelled, 20, np.random.default_rng(0)).tolist()
    assert picked == brute_force(points, uncertainty, labelled, 20)


@SEEDS
def test_three_picks_reach_what_the_theorem_promises_of_the_best_three(seed: int) -> None:
    raw, uncertainty, known = drawn(seed, 14)
    points, labelled = around_mean(raw, raw), around_mean(raw, known)
    width = width_of(points, labelled)
    before = covered(points, uncertainty, labelled, width)

    def gained(places: list[int]) -> float:
        return covered(points, uncertainty, np.concatenate([labelled, points[places]]), width) - before

    best = max(gained(list(some)) for some in itertools.combinations(range(14), 3))
    picked = greedy_coverage(raw, uncertainty, known, 3, np.random.default_rng(0)).tolist()
    assert gained(picked) >= (1 - 1 / np.e) * best


def test_what_lies_where_labels_are_dense_waits_for_what_is_far_from_them() -> None:
    """Three directions: next to the labelled one nothing is asked, and the larger of the others comes first."""
    angles = np.radians([0, 1, 2, 88, 89, 90, 91, 180, 181])
    points = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    picked = greedy_coverage(points, np.ones(9), points[[1]], 2, np.random.default_rng(0)).tolist()
    assert picked[0] in (3, 4, 5, 6)
    assert picked[1] in (7, 8)


def test_certain_images_have_no_weight() -> None:
    points, uncertainty, labelled = drawn(3, 40)
    uncertainty[20:] = 0
    alone = greedy_coverage(points, uncertainty, labelled, 1, np.random.default_rng(0))
    points, labelled = (around_mean(points, each) for each in (points, labelled))
    squares = ((points[:20, None] - points[None]) ** 2).sum(2)
    width = width_of(points, labelled)
    gains = (
        np.maximum(
            np.exp(-squares / width)
            - np.exp(-((points[:20, None] - labelled[None]) ** 2).sum(2).min(1) / width)[:, None],
            0,
        ).T
        @ uncertainty[:20]
    )
    assert alone.tolist() == [int(gains.argmax())]


def test_a_network_that_is_certain_of_everything_asks_about_images_all_over_the_pool() -> None:
    points, uncertainty, labelled = drawn(3, 40)
    certain, alike = (
        greedy_coverage(points, np.full_like(uncertainty, value), labelled, 10, np.random.default_rng(0)).tolist()
        for value in (0, 1)
    )
    assert certain == alike != list(range(10))


def test_identical_images_are_asked_about_once_as_long_as_there_are_others() -> None:
    points, uncertainty, labelled = drawn(1, 12)
    doubled = np.repeat(points, 3, axis=0)
    picked = greedy_coverage(doubled, np.repeat(uncertainty, 3), labelled, 10, np.random.default_rng(0))
    assert len(set((picked // 3).tolist())) == 10


def test_when_everything_is_covered_the_most_uncertain_follow() -> None:
    points = np.tile(np.array([[1, 0]], np.float32), (4, 1))
    uncertainty = np.array([0.1, 0.4, 0.3, 0.4])
    assert greedy_coverage(points, uncertainty, points[:1], 4, np.random.default_rng(0)).tolist() == [1, 3, 2, 0]


def test_with_nothing_labelled_the_first_pick_covers_most_of_the_pool() -> None:
    points, uncertainty, _ = drawn(2, 50)
    directions = around_mean(points, points)
    squares = ((directions[:, None] - directions[None]) ** 2).sum(2)
    expected = (np.exp(-squares / np.median(squares)) @ uncertainty).argmax()
    assert greedy_coverage(points, uncertainty, None, 1, np.random.default_rng(0)).tolist() == [int(expected)]


def test_the_length_of_embeddings_does_not_matter() -> None:
    points, uncertainty, labelled = drawn(4, 40)
    stretched = points * np.random.default_rng(0).uniform(0.5, 8, (40, 1)).astype(np.float32)
    picked = greedy_coverage(points, uncertainty, labelled, 10, np.random.default_rng(0)).tolist()
    assert greedy_coverage(stretched, uncertainty, labelled * 3, 10, np.random.default_rng(0)).tolist() == picked


@SEEDS
def test_what_all_images_have_in_common_does_not_matter(seed: int) -> None:
    points, uncertainty, labelled = drawn(seed, 40)
    points[:, :3], labelled[:, :3] = 0, 0
    points, labelled = unit_length(points), unit_length(labelled)
    picked = greedy_coverage(points, uncertainty, labelled, 10, np.random.default_rng(0)).tolist()
    common = np.eye(6, dtype=np.float32)[0]
    shifted, known = points + common, labelled + common  # all of the same length still
    assert greedy_coverage(shifted, uncertainty, known, 10, np.random.default_rng(0)).tolist() == picked


def test_copies_that_are_most_of_the_pool_stay_together() -> None:
    generator = np.random.default_rng(0)
    copies = np.eye(40, dtype=np.float32)[0] + 0.001 * generator.standard_normal((180, 40)).astype(np.float32)
    others = unit_length(generator.standard_normal((20, 40)).astype(np.float32))
    directions = Directions.from_mean_of(np.concatenate([copies, others])).of(copies)
    assert np.linalg.norm(directions[:, None] - directions, axis=2).max() < 0.1


def test_embeddings_that_coincide_have_no_direction() -> None:
    points = np.tile(unit_length(np.random.default_rng(0).random((1, 1280), np.float32)), (50, 1))
    assert np.abs(Directions.from_mean_of(points).of(points)).max() < 0.01


def test_a_sample_of_a_large_pool_finds_nearly_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    points, uncertainty, labelled = drawn(5, 1500)
    directions, known = around_mean(points, points), around_mean(points, labelled)
    width = width_of(directions, known)
    whole = greedy_coverage(points, uncertainty, labelled, 10, np.random.default_rng(0))
    monkeypatch.setattr(module, "SAMPLE", 300)
    monkeypatch.setattr(module, "CANDIDATES", 500)
    some = greedy_coverage(points, uncertainty, labelled, 10, np.random.default_rng(0))
    reached = [
        covered(directions, uncertainty, np.concatenate([known, directions[each]]), width) for each in (some, whole)
    ]
    assert reached[0] > 0.95 * reached[1]


def test_select_weighs_by_the_probability_gap_and_keeps_away_from_labelled_images() -> None:
    points, uncertainty, labelled = drawn(6, 30)
    table = pd.DataFrame(
        {
            "image": [f"{number:02d}.png" for number in range(30)],
            "probability_gap": (1 - uncertainty).astype(np.float32),
            "embedding": list(points),
        }
    )
    gaps = 1 - table["probability_gap"].to_numpy("float64")
    expected = greedy_coverage(points, gaps, labelled, 8, np.random.default_rng(0))
    picked = pick_queries(Pool(table, labelled), "coverage", 8, seed=0)
    assert picked["image"].tolist() == table["image"].iloc[expected].tolist()

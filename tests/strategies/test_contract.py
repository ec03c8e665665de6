"""Strategies: the contract that every entry of the table keeps, and each one on a pool worked out by hand."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest

from dfal_cli import measures
from dfal_cli.schemas import LABEL, SCORES_COLUMNS
from dfal_cli.strategies import STRATEGIES, Pool, pick_queries

ALL = pytest.mark.parametrize("strategy", STRATEGIES)
NOT_RANDOM = pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "random"])
MEASURED = pytest.mark.parametrize("strategy", [name for name, entry in STRATEGIES.items() if entry.measure])
# These choose a batch as a whole: so many clusters of so many images.
AS_A_WHOLE = ("typical", "dfal-diverse", "dfal-diverse-without-twins")
ONE_BY_ONE = pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name not in AS_A_WHOLE])
MEASURES = ("margin", "entropy", "confidence", "probability_gap", "bald", "egl")
VECTORS = {"embedding": 5, "probabilities": 3}


def pool(count: int = 40, unknown: int = 0, levels: int = 0) -> pd.DataFrame:
    """A scored pool; the last `unknown` have no measures, and with `levels` there are many ties."""
    generator = np.random.default_rng(1)
    table = pd.DataFrame({"image": [f"{number:04d}.png" for number in range(count)], "outcome": "crossed"})
    for measure in MEASURES:
        values = generator.integers(0, levels, count) / 8 if levels else generator.random(count)
        table[measure] = values.astype(np.float32)
        table.loc[count - unknown :, measure] = np.nan
    for measure, length in VECTORS.items():
        values = generator.integers(0, levels, (count, length)) if levels else generator.random((count, length))
        table[measure] = list(np.where(np.arange(count)[:, None] < count - unknown, values, np.nan).astype(np.float32))
    return table


def pick(table: pd.DataFrame, strategy: str, count: int, seed: int = 0) -> list[str]:
    """The images picked, when the first two rows' embeddings are those of labelled images."""
    labelled = np.stack(table["embedding"])[:2] + np.float32(0.5) if "embedding" in table else None
    return pick_queries(Pool(table, labelled), strategy, count, seed)["image"].tolist()


@ALL
@pytest.mark.parametrize("count", [1, 7, 40, 100])
def test_a_strategy_picks_as_many_different_images_as_wanted_or_all(strategy: str, count: int) -> None:
    for table in (pool(), pool(unknown=40), pool(levels=2)):
        picked = pick(table, strategy, count)
        assert len(picked) == len(set(picked)) == min(count, len(table))
        assert set(picked) <= set(table["image"])


@ALL
def test_positions_are_distinct_and_valid(strategy: str) -> None:
    table = pool(unknown=5)
    positions = STRATEGIES[strategy].pick(Pool(table), 20, np.random.default_rng(0))
    assert len(set(positions.tolist())) == 20
    assert ((positions >= 0) & (positions < len(table))).all()


@ALL
def test_the_order_of_the_pools_rows_does_not_matter(strategy: str) -> None:
    table = pool(unknown=5, levels=3)
    shuffled = table.sample(frac=1, random_state=3)
    labelled = np.stack(table["embedding"])[:2]
    expected = pick_queries(Pool(table, labelled), strategy, 12, seed=5)
    pd.testing.assert_frame_equal(pick_queries(Pool(shuffled, labelled), strategy, 12, seed=5), expected)


@ALL
def test_the_same_seed_gives_the_same_queries_whatever_was_drawn_before(strategy: str) -> None:
    first = pick(pool(), strategy, 12, seed=5)
    np.random.default_rng().random(3)
    assert pick(pool(), strategy, 12, seed=5) == first


@ONE_BY_ONE
def test_a_shorter_list_is_the_beginning_of_a_longer_one(strategy: str) -> None:
    longer = pick(pool(unknown=5, levels=3), strategy, 30, seed=5)
    assert pick(pool(unknown=5, levels=3), strategy, 9, seed=5) == longer[:9]


@MEASURED
def test_ties_are_broken_by_path(strategy: str) -> None:
    table = pool(levels=1).sample(frac=1, random_state=3)
    assert pick(table, strategy, 40) == sorted(table["image"])


@NOT_RANDOM
def test_images_whose_measure_is_unknown_come_last_by_path(strategy: str) -> None:
    table = pool(count=10, unknown=3)
    table["image"] = table["image"].map(lambda name: f"{9999 - int(name[:4])}.png")  # the unknown have the first paths
    picked = pick(table, strategy, 10)
    assert picked[-3:] == ["9990.png", "9991.png", "9992.png"]


@ALL
def test_picking_leaves_the_scores_as_they_were(strategy: str) -> None:
    table = pool(unknown=3)
    before = table.copy(deep=True)
    pick(table, strategy, 5)
    pd.testing.assert_frame_equal(table, before)


@ALL
def test_of_identical_images_one_is_picked_and_the_others_end_the_list(strategy: str) -> None:
    """Three copies of each of ten images, whose smallest measures are equal too."""
    table = pool(count=10)
    copies = pd.concat([table.assign(image=table["image"].str.replace(".png", f"-{n}.png")) for n in "cab"])
    originals, others = [{f"{n:04d}-{letter}.png" for n in range(10) for letter in some} for some in ("a", "bc")]
    picked = pick(copies, strategy, 30)
    assert set(picked[:10]) == originals
    assert picked[10:] == sorted(others)


BY_HAND = pd.DataFrame(
    {
        "image": ["a", "b", "c", "d", "e"],
        "outcome": ["crossed", "crossed", "uncrossed", "crossed", "crossed"],
        "margin": np.array([0.3, 0.1, np.nan, 0.2, 0.1], np.float32),
        "entropy": np.array([0.2, 0.9, 1.0, 0.2, 0.0], np.float32),
        "confidence": np.array([0.9, 0.4, 0.35, 0.9, 1.0], np.float32),
        "probability_gap": np.array([0.8, 0.1, 0.05, 0.8, 1.0], np.float32),
        "bald": np.array([0.1, 0.0, 0.1, 0.4, np.nan], np.float32),
        "egl": np.array([1, 2, 3, 4, 5], np.float32),
    }
)


@pytest.mark.parametrize(
    ("strategy", "order"),
    [
        ("bald", ["d", "a", "c", "b", "e"]),
        ("egl", ["e", "d", "c", "b", "a"]),
        ("ceal", ["c", "b", "a", "d", "e"]),
        ("dfal", ["b", "e", "d", "a", "c"]),
        ("entropy", ["c", "b", "a", "d", "e"]),
        ("least-confidence", ["c", "b", "a", "d", "e"]),
        ("probability-gap", ["c", "b", "a", "d", "e"]),
    ],
)
def test_a_strategy_orders_an_example_pool_as_calculated_by_hand(strategy: str, order: list[str]) -> None:
    assert pick(BY_HAND, strategy, 5) == order


def test_the_measures_based_on_probabilities_do_not_all_agree_on_three_classes() -> None:
    """Probabilities (.50 .49 .01), (.46 .27 .27), (.45 .35 .20): each strategy asks about another one first."""
    table = pd.DataFrame(
        {
            "image": ["close", "spread", "low"],
            "outcome": "crossed",
            "entropy": [0.742, 1.064, 1.049],
            "confidence": [0.50, 0.46, 0.45],
            "probability_gap": [0.01, 0.19, 0.10],
        }
    )
    first = {name: pick(table, name, 1)[0] for name in STRATEGIES if name in FIRST}
    assert first == FIRST


FIRST = {"entropy": "spread", "least-confidence": "low", "probability-gap": "close"}


def test_random_draws_every_image_about_equally_often_and_other_seeds_draw_others() -> None:
    table = pool(count=10)
    drawn = [pick(table, "random", 3, seed) for seed in range(400)]
    counts = pd.Series([image for images in drawn for image in images]).value_counts()
    assert len(counts) == 10
    assert counts.between(80, 160).all()  # 120 expected, standard deviation 9
    assert len({tuple(images) for images in drawn}) > 200


def test_random_needs_nothing_but_paths() -> None:
    assert len(pick(pool()[["image"]], "random", 5)) == 5


@ALL
def test_a_strategy_is_given_nothing_that_could_hold_an_oracle_label(strategy: str) -> None:
    entry = STRATEGIES[strategy]
    assert list(inspect.signature(entry.pick).parameters) == ["pool", "count", "generator"]
    assert Pool._fields == ("scores", "labelled")
    assert LABEL not in SCORES_COLUMNS
    if entry.pseudo_labels:
        assert list(inspect.signature(entry.pseudo_labels).parameters) == ["others", "round_number"]


@ALL
def test_a_strategy_says_all_that_it_reads_of_a_scores_file(strategy: str) -> None:
    entry = STRATEGIES[strategy]
    table = pool()[["image", "margin", "entropy", "confidence", "probability_gap", *entry.needs]]
    assert len(pick_queries(Pool(table), strategy, 5, seed=0)) == 5


@ALL
def test_a_strategy_picks_the_same_if_it_is_given_only_the_columns_that_it_names(strategy: str) -> None:
    columns = STRATEGIES[strategy].columns
    assert columns is not None
    table = pool(unknown=5, levels=3)
    table["predicted"] = "dark"
    expected = pick(table.drop(columns=[] if "embedding" in columns else ["embedding"]), strategy, 12)
    few = table[["image", *dict.fromkeys(columns)]]
    assert pick(few, strategy, 12) == expected


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) & set(measures.MEASURES)))
def test_a_strategy_and_its_measure_name_the_same_papers(name: str) -> None:
    papers = [set(re.findall(r"arXiv:[\d.]+\d", entry.help)) for entry in (STRATEGIES[name], measures.MEASURES[name])]
    assert papers[0]
    assert papers[0] <= papers[1]

"""Strategies: which images of a scored pool to ask about. None of them sees a network or an oracle label.

To add one: write a function (pool, count, generator) -> positions of the picked rows in rank order, and give it a line
in STRATEGIES. The help of `select` reads that table, so pandas and numpy are imported where they are needed, not here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from dfal_cli.schemas import EMBEDDING, IMAGE, PROBABILITIES
from dfal_cli.strategies.ceal import confident_labels
from dfal_cli.strategies.pool import Pool, Positions

__all__ = ["DEFAULT_STRATEGIES", "STRATEGIES", "Pick", "Pool", "Positions", "Strategy", "pick_queries"]

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from dfal_cli.strategies.centres import Vectors

SHORTLIST = 10
"""How many of the smallest margins dfal-diverse looks at for each query."""

Pick: TypeAlias = Callable[[Pool, int, "np.random.Generator"], Positions]


@dataclass(frozen=True)
class Strategy:
    """An entry of the table."""

    pick: Pick
    """pool, count, generator -> positions of at most count rows, best query first."""
    help: str
    measure: str | None = None
    """The column it sorts by, shown in the query list."""
    needs: tuple[str, ...] = ()
    """Measures that `score` computes only when asked to (`--measure`)."""
    nearest: int = 0
    """How many margins a query must be certain: `score --nearest` must be at least so many times the count."""
    labelled: bool = False
    """Whether it looks at the embeddings of what has been labelled."""
    pseudo_labels: "Callable[[pd.DataFrame, int], pd.Series[str]] | None" = None
    """Rows that are not asked about, round -> labels the network is sure enough of to train on, by row."""
    note: str = ""
    """What else to know in front of its queries: a sentence."""
    without_twins: bool = False
    """Its queries carry no twins, even if `score` has kept some."""

    @property
    def trains_on_twins(self) -> bool:
        """Whether the method is to train on its queries' adversarial images too."""
        return self.nearest > 0 and not self.without_twins


def by_measure(measure: str, *, descending: bool = False) -> Pick:
    """Sort by one measure; images whose measure is unknown come last, ties are broken by path."""

    def pick(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
        values = pool.scores[measure].to_numpy("float64")
        # The rows are sorted by path, so a stable sort leaves ties in that order; nan is sorted last.
        order: Positions = (-values if descending else values).argsort(kind="stable")
        return order[:count]

    return pick


def at_random(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
    """A random subset, in random order."""
    return generator.permutation(len(pool.scores))[:count]


def core_set(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
    """k-center greedy on the embeddings, from the labelled images (Sener and Savarese, arXiv:1708.00489)."""
    from dfal_cli.strategies.centres import among_known
    from dfal_cli.strategies.k_center import k_center_greedy

    return among_known(pool, (EMBEDDING,), lambda points: k_center_greedy(points, pool.labelled, count), count)


def badge(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
    """k-means++ seeding on last-layer gradients, as if each prediction were right (Ash et al., arXiv:1906.03671)."""
    from dfal_cli.strategies.centres import among_known
    from dfal_cli.strategies.k_means_seeding import Gradients, k_means_seeding, last_layer_errors

    def seed(probabilities: "Vectors", embeddings: "Vectors") -> Positions:
        return k_means_seeding(Gradients(last_layer_errors(probabilities), embeddings), count, generator)

    return among_known(pool, (PROBABILITIES, EMBEDDING), seed, count)


def dfal_diverse(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
    """Small margins that differ: of the SHORTLIST times `count` nearest, one for each cluster of embeddings.

    The clusters are those of k-means, drawn towards small margins: an image weighs the inverse of its own (Zhdanov,
    arXiv:1901.05954, weighs uncertainty). Ranked by margin.
    """
    from dfal_cli.strategies.centres import among_known
    from dfal_cli.strategies.k_means import SMALLEST, k_means_representatives

    def spread(margins: "Vectors", embeddings: "Vectors") -> Positions:
        return k_means_representatives(embeddings, 1 / margins[:, 0].clip(SMALLEST), count, generator)

    nearest = by_measure("margin")(pool, SHORTLIST * count, generator)
    shortlist = pool._replace(scores=pool.scores.iloc[nearest])
    return nearest[among_known(shortlist, ("margin", EMBEDDING), spread, count)]


def _without_twins(strategy: Strategy) -> Strategy:
    return replace(strategy, help=f"{strategy.help}; their twins do not train", without_twins=True)


DFAL = Strategy(
    by_measure("margin"), "the smallest margins (Ducoffe and Precioso, arXiv:1802.09841)", "margin", nearest=1
)
DFAL_DIVERSE = Strategy(
    dfal_diverse,
    "small margins that differ: one for each cluster of embeddings",
    "margin",
    needs=(EMBEDDING,),
    nearest=SHORTLIST,
    note="Each picture stands for a cluster of similar ones that are as near.",
)

STRATEGIES: dict[str, Strategy] = {
    "dfal": DFAL,
    "dfal-without-twins": _without_twins(DFAL),
    "dfal-diverse": DFAL_DIVERSE,
    "dfal-diverse-without-twins": _without_twins(DFAL_DIVERSE),
    "entropy": Strategy(
        by_measure("entropy", descending=True), "the highest entropy (Shannon 1948; Settles 2009)", "entropy"
    ),
    "least-confidence": Strategy(
        by_measure("confidence"), "the lowest top probability (Culotta and McCallum 2005)", "confidence"
    ),
    "probability-gap": Strategy(
        by_measure("probability_gap"),
        "the smallest gap between the two top probabilities (Scheffer, Decomain and Wrobel 2001)",
        "probability_gap",
    ),
    "bald": Strategy(
        by_measure("bald", descending=True),
        "the highest mutual information of prediction and weights (Gal and others, arXiv:1703.02910)",
        "bald",
        needs=("bald",),
    ),
    "egl": Strategy(
        by_measure("egl", descending=True),
        "the longest expected gradient (Huang and others, arXiv:1612.03226)",
        "egl",
        needs=("egl",),
    ),
    "core-set": Strategy(
        core_set,
        "the farthest from all that is labelled or picked (Sener and Savarese, arXiv:1708.00489)",
        needs=(EMBEDDING,),
        labelled=True,
    ),
    "badge": Strategy(
        badge,
        "gradients that are long and differ (Ash and others, arXiv:1906.03671)",
        needs=(EMBEDDING, PROBABILITIES),
    ),
    "ceal": Strategy(
        by_measure("entropy", descending=True),
        "as entropy; the surest of the others get pseudo-labels (Wang and others, arXiv:1701.03551)",
        "entropy",
        pseudo_labels=confident_labels,
    ),
    "random": Strategy(at_random, "a random subset"),
}

DEFAULT_STRATEGIES = "dfal,dfal-without-twins,random"
"""What `simulate` plays."""


def pick_queries(pool: Pool, strategy: str, count: int, seed: int) -> "pd.DataFrame":
    """The rows that the strategy picks, in rank order; the order of the rows of `pool.scores` does not matter."""
    from numpy.random import default_rng

    by_path = pool.scores.sort_values(IMAGE, kind="stable").reset_index(drop=True)
    positions = STRATEGIES[strategy].pick(pool._replace(scores=by_path), count, default_rng(seed))
    return by_path.iloc[positions].reset_index(drop=True)

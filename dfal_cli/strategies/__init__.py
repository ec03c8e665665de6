"""Query strategies: which images of a scored pool to label next. A strategy sees no network and no oracle label.

To add one, write a function (pool, count, generator) -> positions of the picked rows in rank order, and add it to
STRATEGIES. `select --help` reads that table, so this module does not import pandas and numpy at the top level.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from dfal_cli.schemas import EMBEDDING, IMAGE, PREDICTED, PROBABILITIES
from dfal_cli.strategies.pool import Pool, Positions
from dfal_cli.strategies.strategy import Pick, Strategy

__all__ = [
    "DEFAULT_STRATEGIES",
    "STRATEGIES",
    "STRATEGIES_ON_EMBEDDINGS",
    "Pick",
    "Pool",
    "Positions",
    "Strategy",
    "pick_queries",
]

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from dfal_cli.strategies.centres import Vectors

SHORTLIST = 10
"""Number of smallest margins that dfal-diverse considers per query."""

CEAL_FIRST_THRESHOLD, CEAL_DECAY = 0.05, 0.0033
"""Entropy threshold of pseudo-labels in round 0, and its decrease per round, in nats."""


def by_measure(measure: str, *, descending: bool = False) -> Pick:
    """Return a strategy that sorts by one measure; unknown values come last, ties are broken by path."""

    def pick(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
        import numpy as np

        values = pool.scores[measure].to_numpy("float64")
        values = -values if descending else values
        rows = np.arange(len(values))
        if 0 < count < len(values):  # of a large pool, only the rows that can be among the first are sorted
            limit = np.partition(values, count - 1)[count - 1]
            rows = rows if np.isnan(limit) else np.flatnonzero(values <= limit)
        # The rows are sorted by path, so a stable sort keeps ties in that order; nan is sorted last.
        return rows[values[rows].argsort(kind="stable")][:count]

    return pick


def at_random(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
    """Pick a random sample in random order."""
    return generator.permutation(len(pool.scores))[:count]


def core_set(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
    """Pick by k-center greedy on embeddings, starting from labelled images (Sener and Savarese, arXiv:1708.00489)."""
    from dfal_cli.strategies.centres import pick_among_known
    from dfal_cli.strategies.k_center import k_center_greedy

    return pick_among_known(pool, (EMBEDDING,), lambda points: k_center_greedy(points, pool.labelled, count), count)


def badge(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
    """Pick by k-means++ seeding on last-layer gradients for the predicted labels (Ash et al., arXiv:1906.03671)."""
    from dfal_cli.strategies.centres import pick_among_known
    from dfal_cli.strategies.k_means_seeding import Gradients, k_means_seeding, last_layer_errors

    def seed(probabilities: "Vectors", embeddings: "Vectors") -> Positions:
        return k_means_seeding(Gradients(last_layer_errors(probabilities), embeddings), count, generator)

    return pick_among_known(pool, (PROBABILITIES, EMBEDDING), seed, count)


def dfal_diverse(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
    """Pick diverse small margins: cluster the SHORTLIST * count smallest margins, and pick one image per cluster.

    Clusters come from k-means on embeddings, weighted by the inverse margin (after Zhdanov, arXiv:1901.05954, who
    weights by uncertainty). The picked images are ranked by margin.
    """
    from dfal_cli.strategies.centres import pick_among_known
    from dfal_cli.strategies.k_means import MIN_MARGIN, k_means_representatives

    def spread(margins: "Vectors", embeddings: "Vectors") -> Positions:
        return k_means_representatives(embeddings, 1 / margins[:, 0].clip(MIN_MARGIN), count, generator)

    nearest = by_measure("margin")(pool, SHORTLIST * count, generator)
    shortlist = pool._replace(scores=pool.scores.iloc[nearest])
    return nearest[pick_among_known(shortlist, ("margin", EMBEDDING), spread, count)]


def confident_labels(others: "pd.DataFrame", round_number: int) -> "pd.Series[str]":
    """Return the predicted class of each row whose entropy is below the round's threshold, (0.05 - 0.0033 round) nats.

    CEAL trains on these pseudo-labels, too (Wang et al., arXiv:1701.03551). From round 16 on there are none. Other
    implementations subtract 0.0033 round from the previous threshold, so that there are none from round 6 on.

    others: the rows of the pool that are not queried.
    """
    threshold = max(0.0, CEAL_FIRST_THRESHOLD - CEAL_DECAY * round_number)
    return others.loc[others["entropy"] < threshold, PREDICTED]


def coverage(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
    """Pick images that, with the labelled ones, cover the uncertain part of the pool (after arXiv:2412.20644).

    Before anything is trained, all images count as uncertain.
    """
    from dfal_cli.strategies.centres import pick_among_known
    from dfal_cli.strategies.kernel_coverage import greedy_coverage

    if "probability_gap" not in pool.scores:
        pool = pool._replace(scores=pool.scores.assign(probability_gap=0.0))

    def cover(gaps: "Vectors", embeddings: "Vectors") -> Positions:
        return greedy_coverage(embeddings, 1 - gaps[:, 0].astype("float64"), pool.labelled, count, generator)

    return pick_among_known(pool, ("probability_gap", EMBEDDING), cover, count)


def typical(pool: Pool, count: int, generator: "np.random.Generator") -> Positions:
    """Pick one representative of each cluster of embeddings that holds no labelled image."""
    from dfal_cli.strategies.centres import pick_among_known
    from dfal_cli.strategies.typical import typical_points

    return pick_among_known(
        pool, (EMBEDDING,), lambda points: typical_points(points, pool.labelled, count, generator), count
    )


def _without_twins(strategy: Strategy) -> Strategy:
    return replace(strategy, help=f"{strategy.help}; without twins", without_twins=True)


DFAL = Strategy(
    by_measure("margin"), "the smallest margins (Ducoffe and Precioso, arXiv:1802.09841)", "margin", nearest=1
)
DFAL_DIVERSE = Strategy(
    dfal_diverse,
    "diverse small margins: one image per cluster of embeddings",
    "margin",
    needs=(EMBEDDING,),
    nearest=SHORTLIST,
    note="Each image represents a cluster of similar images with small margins.",
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
        by_measure("confidence"),
        "the lowest probability of the predicted class (Culotta and McCallum 2005)",
        "confidence",
    ),
    "probability-gap": Strategy(
        by_measure("probability_gap"),
        "the smallest gap between the two highest probabilities (Scheffer, Decomain and Wrobel 2001)",
        "probability_gap",
    ),
    "bald": Strategy(
        by_measure("bald", descending=True),
        "the highest mutual information of label and weights (Gal and others, arXiv:1703.02910)",
        "bald",
        needs=("bald",),
    ),
    "egl": Strategy(
        by_measure("egl", descending=True),
        "the largest expected gradient length (Huang and others, arXiv:1612.03226)",
        "egl",
        needs=("egl",),
    ),
    "coverage": Strategy(
        coverage,
        "images that cover the uncertain part of the pool (after Bae and others, arXiv:2412.20644)",
        needs=(EMBEDDING,),
        reads=("probability_gap",),
        labelled=True,
        needs_network=False,
    ),
    "typical": Strategy(
        typical,
        "one image for each cluster of embeddings (after Hacohen and others, arXiv:2202.02794)",
        needs=(EMBEDDING,),
        reads=(),
        labelled=True,
        needs_network=False,
        note="Each image represents the images similar to it; the first ones represent the most.",
    ),
    "core-set": Strategy(
        core_set,
        "the largest distance to labelled and picked images (Sener and Savarese, arXiv:1708.00489)",
        needs=(EMBEDDING,),
        reads=(),
        labelled=True,
        needs_network=False,
    ),
    "badge": Strategy(
        badge,
        "large and diverse gradients (Ash and others, arXiv:1906.03671)",
        needs=(EMBEDDING, PROBABILITIES),
        reads=(),
    ),
    "ceal": Strategy(
        by_measure("entropy", descending=True),
        "the highest entropy; confident predictions become pseudo-labels (Wang and others, arXiv:1701.03551)",
        "entropy",
        reads=(PREDICTED,),
        pseudo_labels=confident_labels,
    ),
    "random": Strategy(at_random, "a random sample", reads=(), needs_network=False),
}

DEFAULT_STRATEGIES = "dfal,dfal-without-twins,random"
STRATEGIES_ON_EMBEDDINGS = "coverage,dfal-diverse,dfal,random"
"""The strategies that `simulate` compares by default, on images and on embeddings."""


def pick_queries(pool: Pool, strategy: str, count: int, seed: int) -> "pd.DataFrame":
    """Return the rows that the strategy picks, in rank order. They do not depend on the row order of `pool.scores`.

    Of images with identical embeddings only the first by path is picked; the others follow at the end of the list.
    """
    import numpy as np

    from dfal_cli.tables.name_columns import by_path

    table, pick, generator = by_path(pool.scores, IMAGE), STRATEGIES[strategy].pick, np.random.default_rng(seed)
    if EMBEDDING not in table:
        return table.iloc[pick(pool._replace(scores=table), count, generator)].reset_index(drop=True)
    from dfal_cli.strategies.copies import first_copies

    distinct = first_copies(table[EMBEDDING].to_list())
    known = table if len(distinct) == len(table) else table.iloc[distinct]
    picked = distinct[pick(pool._replace(scores=known), count, generator)]
    copies = np.setdiff1d(np.arange(len(table)), distinct)
    return table.iloc[np.concatenate([picked, copies])[:count]].reset_index(drop=True)

"""The control slice: a part of a list that is drawn at random before the strategy picks the rest.

A strategy asks about images that are unlike the others, so its answers tell little about the pool. The slice is a
simple random sample of it; statistics/control.py estimates from it.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfal_cli.schemas import CONTROL, EMBEDDING, IMAGE, IN_CONTROL
from dfal_cli.strategies import Pool, pick_queries
from dfal_cli.tables.name_columns import by_path


def control_size(count: int, share: float) -> int:
    """Return the number of queries that are drawn at random, of `count`: at least one, if there is a share."""
    return max(1, round(share * count)) if share > 0 and count else 0


def pick_with_control(pool: Pool, strategy: str, count: int, seed: int, share: float) -> pd.DataFrame:
    """Return the rows of a list in rank order: a control slice at random ranks, and the strategy's picks.

    A column `control` marks the slice, which is drawn from all images of the pool, copies of others included. Its ranks
    are random, so that the answers to any first part of the list answer a random part of it. The rows do not depend on
    the row order of the pool.
    """
    table = by_path(pool.scores, IMAGE)
    size = control_size(min(count, len(table)), share)
    generator = _generator(seed, table[IMAGE])
    drawn, left = np.split(generator.permutation(len(table)), [size])
    rest = Pool(table.iloc[np.sort(left)].reset_index(drop=True), _soon_labelled(pool, table.iloc[drawn]))
    others = min(count - size, len(rest.scores))
    picked = pick_queries(rest, strategy, others, seed) if others else rest.scores[:0]
    both = pd.concat([table.iloc[drawn], picked], ignore_index=True)
    is_control = np.arange(len(both)) < size
    places = np.empty(len(both), np.intp)
    slots = generator.permutation(len(both))
    places[:size] = slots[:size]
    places[size:] = np.sort(slots[size:])
    return both.assign(**{CONTROL: np.where(is_control, IN_CONTROL, "")}).iloc[places.argsort()].reset_index(drop=True)


def _soon_labelled(pool: Pool, drawn: pd.DataFrame) -> "npt.NDArray[np.float32] | None":
    """Return the embeddings of labelled images, (m, d), with those of the slice: strategies that spread avoid both."""
    if pool.labelled is None or EMBEDDING not in drawn or not len(drawn):
        return pool.labelled
    vectors = np.stack(drawn[EMBEDDING].to_list()).astype(np.float32, copy=False)
    return np.concatenate([pool.labelled, vectors[np.isfinite(vectors).all(1)]])


def _generator(seed: int, images: Iterable[str]) -> np.random.Generator:
    """Return a generator for this pool: with the same seed, the next round draws anew, and not in the same places."""
    digest = hashlib.blake2b(digest_size=16)
    for image in images:
        digest.update(f"{image}\n".encode())
    return np.random.default_rng([seed, int.from_bytes(digest.digest())])

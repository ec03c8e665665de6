"""Embeddings as directions from the mean of the pool.

The features of a network are seldom negative, so that the embeddings of all images share a large component. Without it,
what remains tells images apart.
"""

from typing import NamedTuple

import numpy as np

from dfal_cli.strategies.centres import Vectors
from dfal_cli.tables.vectors import unit_length

SHORTEST_SHARE = 0.5
"""Embeddings nearer to the mean than this share of the root mean square distance are not scaled to unit length.

Copies of one photo, when they are most of the pool, lie around the mean: what tells them apart is noise.
"""
SHORTEST = 1e-5
"""The same as a distance, for a pool of embeddings that coincide but for rounding."""


class Directions(NamedTuple):
    """The mean of a pool of embeddings of unit length, and how far they lie from it."""

    mean: Vectors
    """(d,)"""
    shortest: float
    """Distance from the mean from which on embeddings are scaled to unit length."""

    @classmethod
    def from_mean_of(cls, points: Vectors) -> "Directions":
        """The directions from the mean of these points, (n, d), of any length."""
        unit = unit_length(points)
        mean = unit.mean(0, dtype=np.float64).astype(np.float32)
        distance = float(np.sqrt(_squared_lengths(unit - mean).mean())) if len(points) else 0.0
        return cls(mean, max(SHORTEST_SHARE * distance, SHORTEST))

    def of(self, points: Vectors) -> Vectors:
        """Return the directions of points of any length, (n, d) -> (n, d), of unit length or shorter."""
        away = unit_length(points) - self.mean
        away /= np.sqrt(_squared_lengths(away)).clip(self.shortest)[:, None].astype(np.float32)
        return away


def _squared_lengths(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.einsum("ij,ij->i", vectors, vectors)
    return lengths

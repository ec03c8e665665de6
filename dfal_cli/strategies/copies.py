"""Images with identical embeddings: copies of one photo, of which one label is enough."""

import hashlib
from collections.abc import Sequence

import numpy as np

from dfal_cli.strategies.centres import Vectors
from dfal_cli.strategies.pool import Positions


def first_copies(embeddings: Sequence[Vectors]) -> Positions:
    """Return the positions of the embeddings, each (d,), that are unknown (nan) or not identical to an earlier one."""
    digests = [hashlib.blake2b(vector.tobytes(), digest_size=16).digest() for vector in embeddings]
    _, first = np.unique(digests, return_index=True)
    unknown = [position for position, vector in enumerate(embeddings) if np.isnan(vector).any()]
    return np.union1d(first, np.array(unknown, np.intp))

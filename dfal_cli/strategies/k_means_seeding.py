"""BADGE: k-means++ seeding on hallucinated gradients (Ash et al., arXiv:1906.03671).

The gradient embedding of an image is the gradient, by the weights of the last layer, of the cross-entropy to the class
that is predicted: g = (p - e) (x) h, where p are the probabilities, e is the one-hot prediction and h what the last
layer is given. It has K d numbers and is never made: with a = p - e, distances follow from a and h,

    g_i - g_j = (a_i - a_j) (x) h_i + a_j (x) (h_i - h_j)

so that images of equal a and h are at distance zero exactly.
"""

import numpy as np

from dfal_cli.strategies.centres import UNKNOWN, Distances, Vectors, add_centre, then_by_path
from dfal_cli.strategies.pool import Positions


class Gradients:
    """The points errors_i (x) features_i, given as (n, K) and (n, d)."""

    def __init__(self, errors: Vectors, features: Vectors) -> None:
        self._errors = errors
        self._features = features
        self._squared_features = np.einsum("ij,ij->i", features, features)
        self.width = errors.shape[1] + features.shape[1]

    def __len__(self) -> int:
        return len(self._errors)

    def distances_from(self, centre: int, rows: Positions) -> Distances:
        """Squared distances, (len(rows),), from these points to one of them."""
        error, feature = self._errors[centre], self._features[centre]
        errors = self._errors[rows] - error
        features = self._features[rows] - feature
        squared = np.einsum("ij,ij->i", features, features)
        distances: Distances = (
            np.einsum("ij,ij->i", errors, errors) * self._squared_features[rows]
            + (error @ error) * squared
            + 2 * (errors @ error) * (features @ feature + squared)
        )
        return np.maximum(distances, 0)  # rounding


def last_layer_errors(probabilities: Vectors) -> Vectors:
    """Probabilities, (n, K) -> p - e: the gradient by the logits of the loss to the predicted class."""
    errors = probabilities.copy()
    errors[np.arange(len(errors)), probabilities.argmax(1)] -= 1
    return errors


def k_means_seeding(gradients: Gradients, count: int, generator: np.random.Generator) -> Positions:
    """Pick `count` of the points by k-means++ seeding.

    The first is uniformly random, as in k-means++ (the code of BADGE's authors takes the longest gradient instead);
    each further one is drawn with a probability proportional to its squared distance from the nearest one so far. When
    all that is left coincides with what was picked, it follows in order of position.
    """
    wanted = min(count, len(gradients))
    distances = np.full(len(gradients), UNKNOWN)
    picked = [int(generator.integers(len(gradients)))]
    while len(picked) < wanted:
        add_centre(distances, picked[-1], gradients.distances_from, gradients.width)
        total = distances.sum()
        if total == 0:
            break
        picked.append(int(generator.choice(len(distances), p=distances / total)))
    return then_by_path(picked, len(gradients), wanted)

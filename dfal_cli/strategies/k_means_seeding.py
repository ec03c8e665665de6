"""BADGE: k-means++ seeding on gradient embeddings (Ash et al., arXiv:1906.03671).

The gradient embedding of an image is the gradient of the cross-entropy with the predicted class with respect to the
weights of the last layer: g = (p - e) (x) h, with the probabilities p, the one-hot prediction e and the input h of the
last layer. It has K d numbers and is never computed explicitly: with a = p - e, distances follow from a and h,

    g_i - g_j = (a_i - a_j) (x) h_i + a_j (x) (h_i - h_j)

so that images with equal a and h have distance exactly zero.
"""

import numpy as np

from dfal_cli.strategies.centres import NO_CENTRE, Distances, Vectors, add_centre, then_by_path
from dfal_cli.strategies.pool import Positions


class Gradients:
    """The points errors_i (x) features_i, from errors (n, K) and features (n, d)."""

    def __init__(self, errors: Vectors, features: Vectors) -> None:
        self._errors = errors
        self._features = features
        self._squared_features = np.einsum("ij,ij->i", features, features)
        self.width = errors.shape[1] + features.shape[1]

    def __len__(self) -> int:
        return len(self._errors)

    def distances_from(self, centre: int, rows: Positions) -> Distances:
        """Return squared distances, (len(rows),), from the points `rows` to the point `centre`."""
        error, feature = self._errors[centre], self._features[centre]
        errors = self._errors[rows] - error
        features = self._features[rows] - feature
        squared = np.einsum("ij,ij->i", features, features)
        distances: Distances = (
            np.einsum("ij,ij->i", errors, errors) * self._squared_features[rows]
            + (error @ error) * squared
            + 2 * (errors @ error) * (features @ feature + squared)
        )
        return np.maximum(distances, 0)  # rounding may make them negative


def last_layer_errors(probabilities: Vectors) -> Vectors:
    """Return p - e, (n, K): the gradient by the logits of the loss with the predicted class; probabilities: (n, K)."""
    errors = probabilities.copy()
    errors[np.arange(len(errors)), probabilities.argmax(1)] -= 1
    return errors


def k_means_seeding(gradients: Gradients, count: int, generator: np.random.Generator) -> Positions:
    """Pick `count` of the points by k-means++ seeding.

    The first point is uniformly random, as in k-means++ (the BADGE authors' code takes the longest gradient instead).
    Each next point is drawn with probability proportional to the squared distance to the nearest picked point.
    Points that coincide with picked ones come last, in order of position.
    """
    wanted = min(count, len(gradients))
    distances = np.full(len(gradients), NO_CENTRE)
    picked = [int(generator.integers(len(gradients)))]
    while len(picked) < wanted:
        add_centre(distances, picked[-1], gradients.distances_from, gradients.width)
        total = distances.sum()
        if total == 0:
            break
        picked.append(int(generator.choice(len(distances), p=distances / total)))
    return then_by_path(picked, len(gradients), wanted)

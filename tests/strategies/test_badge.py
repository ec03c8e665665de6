"""badge: k-means++ seeding on gradients that are never made, against gradients that are."""

import numpy as np
import pandas as pd
import pytest
import torch

from dfal_cli.strategies import Pool, pick_queries
from dfal_cli.strategies.k_means_seeding import Gradients, k_means_seeding, last_layer_errors


def probabilities_of(count: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), count).astype(np.float32)


def made(errors: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The gradient embeddings, (n, K d)."""
    return np.einsum("nk,nd->nkd", errors.astype(np.float64), features.astype(np.float64)).reshape(len(errors), -1)


def test_the_embedding_is_the_gradient_of_the_last_layers_weights() -> None:
    torch.manual_seed(0)
    features, layer = torch.randn(6, 4), torch.nn.Linear(4, 3)
    logits = layer(features)
    expected = [
        torch.autograd.grad(torch.nn.functional.cross_entropy(row[None], row.argmax()[None]), layer.weight,
                            retain_graph=True)[0].flatten()
        for row in logits
    ]  # fmt: skip
    errors = last_layer_errors(logits.softmax(1).detach().numpy())
    np.testing.assert_allclose(made(errors, features.numpy()), torch.stack(expected).numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_distances_are_those_between_the_gradients(scale: float) -> None:
    errors = last_layer_errors(probabilities_of(60, 5))
    features = (np.random.default_rng(1).standard_normal((60, 8)) * scale).astype(np.float32)
    errors[30:] = errors[:30] * np.float32(
        1.001
    )  # near-duplicates, whose distance is a small difference of large numbers
    features[30:] = features[:30]
    points = made(errors, features)
    for centre in (0, 31, 59):
        exact = ((points - points[centre]) ** 2).sum(1)
        found = Gradients(errors, features).distances_from(centre, np.arange(60))
        np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-12 * scale**2)
        assert found[centre] == 0


def test_the_second_pick_is_drawn_by_the_squared_distance_from_the_first() -> None:
    """Of 4,000 draws, each share is within four standard deviations of its probability."""
    errors = last_layer_errors(probabilities_of(6, 3))
    features = np.random.default_rng(2).standard_normal((6, 4)).astype(np.float32)
    points = made(errors, features)
    distances = ((points[:, None] - points) ** 2).sum(2)
    expected = distances / distances.sum(1, keepdims=True) / 6  # the first is uniform
    generator, draws = np.random.default_rng(3), 4000
    found = np.zeros((6, 6))
    for _ in range(draws):
        first, second = k_means_seeding(Gradients(errors, features), 2, generator)
        found[first, second] += 1 / draws
    assert (np.abs(found - expected) <= 4 * np.sqrt(expected * (1 - expected) / draws)).all()


def test_later_picks_are_drawn_by_the_distance_from_the_nearest_pick() -> None:
    """Points at 0, 1 and 10 on a line: after 10 and 0 only 1 is left; after 0 and 1, 10; none is drawn twice."""
    errors = np.array([[-1.0], [-1.0], [-1.0]], np.float32)
    features = np.array([[0.0], [1.0], [10.0]], np.float32)
    generator = np.random.default_rng(4)
    second = [k_means_seeding(Gradients(errors, features), 3, generator).tolist() for _ in range(300)]
    assert {tuple(sorted(picks)) for picks in second} == {(0, 1, 2)}
    after_zero = [picks[1] for picks in second if picks[0] == 0]
    assert np.mean(np.array(after_zero) == 2) > 0.9  # 100 / 101


def test_remaining_copies_follow_in_order() -> None:
    errors = last_layer_errors(np.tile(probabilities_of(2, 3), (4, 1)))
    features = np.tile(np.array([[1, 2], [3, 4]], np.float32), (4, 1))
    for seed in range(10):
        picked = k_means_seeding(Gradients(errors, features), 8, np.random.default_rng(seed)).tolist()
        assert {picked[0] % 2, picked[1] % 2} == {0, 1}
        assert picked[2:] == sorted(set(range(8)) - set(picked[:2]))


def test_images_the_network_is_certain_of_are_rarely_queried() -> None:
    generator = np.random.default_rng(5)
    certain = np.tile(np.array([1, 0, 0], np.float32), (50, 1))
    probabilities = np.concatenate([certain, probabilities_of(50, 3)])
    table = pd.DataFrame({"image": [f"{number:03d}" for number in range(100)], "probabilities": list(probabilities)})
    table["embedding"] = list(generator.standard_normal((100, 4)).astype(np.float32))
    picked = pick_queries(Pool(table), "badge", 20, seed=6)["image"].astype(int)
    # All the certain ones are one point, at the origin: the first pick, and one later one, may be among them.
    assert (picked < 50).sum() <= 2

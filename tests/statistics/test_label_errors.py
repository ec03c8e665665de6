"""Confident learning: by hand, and against the definition, example by example."""

import numpy as np
import pytest

from dfal_cli.statistics.label_errors import class_thresholds, confident_joint, number_wrong, probably_wrong

PROBABILITIES = np.array(
    [
        [0.9, 0.1], [0.7, 0.3], [0.2, 0.8],  # labelled 0: threshold (0.9 + 0.7 + 0.2) / 3 = 0.6
        [0.4, 0.6], [0.3, 0.7], [0.5, 0.5],  # labelled 1: threshold (0.6 + 0.7 + 0.5) / 3 = 0.6
    ]
)  # fmt: skip
TARGETS = np.array([0, 0, 0, 1, 1, 1])


def test_by_hand_the_third_label_is_wrong_and_the_last_example_is_counted_nowhere() -> None:
    np.testing.assert_allclose(class_thresholds(PROBABILITIES, TARGETS), [0.6, 0.6])
    assert confident_joint(PROBABILITIES, TARGETS).tolist() == [[2, 1], [0, 2]]
    assert number_wrong(PROBABILITIES, TARGETS) == 1  # one of the three that are labelled 0
    assert probably_wrong(PROBABILITIES, TARGETS).tolist() == [2]


def joint_by_definition(probabilities: np.ndarray, targets: np.ndarray) -> list[list[int]]:
    """Equation 1 of the paper, one example after another."""
    classes = range(probabilities.shape[1])
    own = [[p[j] for p, y in zip(probabilities, targets, strict=True) if y == j] for j in classes]
    thresholds = [np.mean(each) for each in own]
    joint = [[0 for _ in classes] for _ in classes]
    for p, y in zip(probabilities, targets, strict=True):
        reached = [j for j in classes if p[j] >= thresholds[j]]
        if reached:
            joint[y][max(reached, key=lambda j: p[j])] += 1
    return joint


@pytest.mark.parametrize("seed", range(5))
def test_the_confident_joint_is_that_of_the_definition(seed: int) -> None:
    generator = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(4), generator.integers(0, 4, 60)])
    logits = generator.normal(size=(64, 4)) + 2 * np.eye(4)[targets]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    joint = confident_joint(probabilities, targets)
    assert joint.tolist() == joint_by_definition(probabilities, targets)
    wrong = probably_wrong(probabilities, targets)
    own = probabilities[np.arange(64), targets]
    assert number_wrong(probabilities, targets) == round(
        sum((targets == row).sum() * (1 - joint[row][row] / sum(joint[row])) for row in range(4))
    )
    assert len(wrong) <= number_wrong(probabilities, targets)
    assert (np.diff(own[wrong]) >= 0).all(), "the most doubtful label comes first"
    assert (probabilities[wrong].argmax(1) != targets[wrong]).all(), "a predicted label is not wrong"


def test_a_wrong_label_is_found_among_labels_that_are_all_but_certain() -> None:
    certain = np.array([[0.9999, 0.0001]] * 9 + [[0.0001, 0.9999]] * 9 + [[0.001, 0.999]])
    targets = np.array([0] * 9 + [1] * 9 + [0])
    assert probably_wrong(certain, targets).tolist() == [18], "its probability is below the mean of its class"


def test_no_label_is_wrong_where_every_label_is_the_most_probable() -> None:
    assert probably_wrong(PROBABILITIES, np.array([0, 0, 1, 1, 1, 1])).tolist() == []

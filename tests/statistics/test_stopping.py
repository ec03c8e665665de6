"""Stopping rules: Cohen's kappa by an independent implementation, and when each rule holds."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from dfal_cli.statistics.intervals import wilson_interval
from dfal_cli.statistics.stopping import RULES, Accuracy, History, cohens_kappa


def history(kappas=(), asked=(), smallest=math.nan, accuracies=(), images=100) -> History:
    measured = [Accuracy(share, wilson_interval(share, images), images) for share in accuracies]
    return History(kappas, asked, smallest, measured, "test set")


def holds(rule: str, **seen) -> bool | None:
    return RULES[rule].judge(history(**seen)).holds


def test_kappa_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    for classes in (2, 3, 10):
        one = generator.integers(classes, size=200).astype(str).astype(object)
        other = np.where(generator.random(200) < 0.7, one, generator.integers(classes, size=200).astype(str))
        assert cohens_kappa(one, other.astype(object)) == pytest.approx(cohen_kappa_score(one, other))


def test_kappa_of_equal_predictions_is_one_also_if_all_are_of_one_class() -> None:
    assert cohens_kappa(np.array(["a"] * 5, object), np.array(["a"] * 5, object)) == 1
    assert math.isnan(cohens_kappa(np.array([], object), np.array([], object)))


def test_predictions_are_stable_if_the_last_three_kappas_are_099_on_average() -> None:
    assert holds("stable", kappas=(0.99, 0.985, 0.9951)) is True
    assert holds("stable", kappas=(1, 1, 1, 0.98, 0.98, 1)) is False
    assert holds("stable", kappas=(0.5, 1, 1, 1)) is True
    assert holds("stable", kappas=(1, 1)) is None


def test_no_margin_is_left_if_the_smallest_is_at_least_the_median_of_the_lists() -> None:
    assert holds("margins", asked=(0.1, 0.3, 0.2), smallest=0.2) is True
    assert holds("margins", asked=(0.1, 0.3, 0.2), smallest=0.19) is False
    assert holds("margins", asked=(), smallest=0.2) is None
    assert holds("margins", asked=(0.1,), smallest=math.nan) is None


def test_the_accuracy_is_flat_if_it_is_within_its_interval_of_three_rounds_ago() -> None:
    high = wilson_interval(0.8, 100)[1]
    assert holds("flat", accuracies=(0.5, 0.8, 0.7, 0.9, high - 0.001)) is True
    assert holds("flat", accuracies=(0.5, 0.8, 0.7, 0.9, high + 0.001)) is False
    assert holds("flat", accuracies=(0.8, 0.8, 0.8)) is None


def test_every_verdict_says_why() -> None:
    seen = {"kappas": (1, 1, 1), "asked": (0.1,), "smallest": 0.2, "accuracies": (0.8, 0.8, 0.8, 0.81)}
    reasons = [rule.judge(history(**seen)).reason for rule in RULES.values()]
    assert "1.000 on average" in reasons[0]
    assert "smallest margin left is 0.2" in reasons[1]
    assert "80.0 % 3 rounds ago (71 to 87), 81.0 % now" in reasons[2]

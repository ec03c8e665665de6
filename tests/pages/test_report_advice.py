"""A report of a simulation begins with what to do, as far as its numbers support it."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli.pages.advice import Compared, Cost, advice, duration
from dfal_cli.statistics import annotations, comparison
from tests.page import Page
from tests.pages.test_report import report, simulated, timed


def advised(page: Page) -> str:
    """The part of the page above its summary."""
    return page.words.split("What to do ")[1].split(" Summary ")[0]


def test_a_strategy_that_needs_clearly_fewer_labels_is_recommended(tmp_path: Path) -> None:
    results = simulated()
    ratio = annotations.ratio(annotations.reached_at(results, 0.85), "dfal", "random")
    page = report(tmp_path, results)
    assert next(attributes.get("class") for tag, attributes in page.tags if tag == "section") == "advice clear"
    said = advised(page)
    assert said.startswith(f"Use dfal: it needs ×{ratio.mean:.2f} of random's labels. This is for 85 % accuracy: ")
    assert said.endswith(f"({ratio.low:.2f} to {ratio.high:.2f}).")


def test_of_two_better_strategies_the_one_that_is_better_over_the_whole_range_is_recommended(tmp_path: Path) -> None:
    """dfal-diverse is quick to 85 % and stays there; dfal needs a few labels more and goes on."""
    results = simulated()
    dfal = results[results["strategy"] == "dfal"]
    early = dfal["accuracy"].where(dfal["accuracy"] < 0.8, 0.86)
    both = pd.concat([results, dfal.assign(strategy="dfal-diverse", accuracy=early)], ignore_index=True)
    needed = annotations.annotations_needed(both, 0.85).mean()
    assert needed["dfal-diverse"] < needed["dfal"] < needed["random"]
    assert advised(report(tmp_path, both)).startswith("Use dfal: ")


def test_the_baseline_is_recommended_if_all_others_are_clearly_worse(tmp_path: Path) -> None:
    assert advised(report(tmp_path, simulated(strategies=("random", "weak")))).startswith("Use random: it is clearly")


@pytest.mark.parametrize(("trials", "jobs", "parallel"), [(1, 100, 3), (2, 2, 2)])
def test_too_few_trials_are_undecided_and_the_page_says_how_long_more_take(
    tmp_path: Path, trials: int, jobs: int, parallel: int
) -> None:
    """No more jobs can have worked in parallel than there are runs: three strategies in one trial."""
    results = simulated(trials)
    timings = timed(results).fillna(0)
    more = 6 - trials
    seconds = more * timings[["train_seconds", "query_seconds"]].to_numpy().sum() / trials / parallel
    said = advised(report(tmp_path, results, jobs=jobs))
    assert said.startswith(f"Undecided: {more} more trials, {duration(seconds)} here.")
    assert said.endswith("Run the same command with --trials 6; finished trials are kept.")


def test_a_simulation_whose_networks_did_not_learn_recommends_nothing(tmp_path: Path) -> None:
    page = report(tmp_path, simulated(), measured_on=comparison.MeasuredOn(100, 90))
    assert "What to do" not in page.words


def test_a_single_strategy_is_compared_with_nothing(tmp_path: Path) -> None:
    assert "What to do" not in report(tmp_path, simulated(strategies=("dfal",))).words


def compared(gains: list[float], mark: str = "", name: str = "mine") -> Compared:
    return Compared(name, "it needs ×0.90 of random's labels", "for 90 % accuracy", np.array(gains), mark)


def said_of(*others: Compared, seconds: float = 60.0) -> str:
    found = advice(others, "random", Cost(len(others[0].gains), seconds, 1))
    assert found is not None
    return " ".join([found.headline, *found.reasons])


def test_as_many_more_trials_are_advised_as_would_decide() -> None:
    """Gains of mean 1 and standard deviation 2: t * 2 / sqrt(n) is below 1 from n = 18 on (t = 2.110)."""
    gains = (1 + 2 * np.array([-1, 0, 1, 1, -1, 0]) / np.sqrt(0.8)).tolist()
    said = said_of(compared([-9.0] * 6, "worse", "bad"), compared(gains))
    assert said.startswith("Undecided: 12 more trials, about 12 minutes here. The best of the others is mine: it needs")
    assert "--trials 18;" in said


def test_a_difference_that_hundreds_of_trials_would_hardly_show_is_not_pursued() -> None:
    gains = (0.1 + 2 * np.array([-1, 0, 1, 1, -1, 0]) / np.sqrt(0.8)).tolist()
    said = said_of(compared(gains))
    assert said.startswith("mine or random, as you like: they hardly differ.")
    assert re.search(r"About 1,5\d\d more|Far more than a thousand more", said)


def test_what_gains_nothing_is_not_pursued() -> None:
    assert said_of(compared([-1.0, 1.0, -0.5])).startswith("Use random: none of the others did better")


def test_a_difference_below_what_the_test_images_resolve_calls_for_more_of_them() -> None:
    """The trials agree, so that the interval is as wide as one test image makes it."""
    assert "use more test images" in said_of(compared([0.01, 0.01, 0.01]))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (5, "less than a minute"), (61, "about 1 minute"), (540, "about 9 minutes"), (5000, "about 83 minutes"),
        (3 * 3600, "about 3 hours"), (40 * 3600, "about 2 days"),
    ],
)  # fmt: skip
def test_durations_are_in_whole_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_seconds_of_a_trial_are_those_of_all_its_rounds() -> None:
    table = pd.DataFrame({"trial": [1, 1, 2, 2], "train_seconds": [1.0, 2, 3, 4], "query_seconds": [1.0, np.nan] * 2})
    assert comparison.seconds_of_trial(table) == (1 + 2 + 3 + 4 + 1 + 1) / 2

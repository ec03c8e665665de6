"""The summary at the top of a report: the best strategies in a line each, and networks that did not learn."""

import re
from pathlib import Path

from dfal_cli.statistics import comparison
from tests.page import Page
from tests.pages.test_report import report, simulated


def summary(page: Page) -> str:
    return page.words[page.words.index("Summary") : page.words.index("Learning curves")]


def test_the_summary_has_a_line_for_each_of_the_best_three_and_counts_the_others(tmp_path: Path) -> None:
    page = report(tmp_path, simulated(strategies=("random", "dfal", "weak", "same", "equal")))
    lines = "".join(re.findall(r"<li.*?</li>", page.source)).replace("\xa0", " ")
    assert re.search(r"For 85 % accuracy, random needed \d+ labels \(mean of 5 trials\)", summary(page))
    assert re.search(r'<li class="better">dfal: \d+ labels, 0\.\d\d times as many \(0\.\d\d to 0\.\d\d\)</li>', lines)
    assert len(re.findall("<li>", lines)) == 2  # no clear difference
    assert "weak" not in lines
    assert "The tables show 1 more strategy" in summary(page)
    assert "1 of 4 clearly better, 1 clearly worse" in summary(page)


def test_the_summary_gives_bounds_for_levels_that_were_not_reached(tmp_path: Path) -> None:
    words = summary(report(tmp_path, simulated()))
    assert re.search(r"weak: more than 400 labels, at least 1\.\d\d times as many \(from 1\.\d\d\)", words)


def test_a_report_of_networks_that_did_not_learn_begins_with_it(tmp_path: Path) -> None:
    words = summary(report(tmp_path, simulated(), measured_on=comparison.MeasuredOn(100, 90)))
    assert words.startswith("Summary None of these networks learnt: ")
    assert "on the 100 test images is not better than always predicting the largest class (90 %)" in words
    assert "Check the labels" in words


def test_a_report_names_those_that_did_not_learn_where_others_did(tmp_path: Path) -> None:
    words = summary(report(tmp_path, simulated(), measured_on=comparison.MeasuredOn(1000, 820)))
    assert words.startswith("Summary The networks of weak did not learn: ")


def test_a_report_of_networks_that_learnt_says_nothing_of_it(tmp_path: Path) -> None:
    words = summary(report(tmp_path, simulated(), measured_on=comparison.MeasuredOn(1000, 300)))
    assert words.startswith("Summary For 85 % accuracy, random needed")


def test_the_summary_says_if_no_difference_is_clear(tmp_path: Path) -> None:
    page = report(tmp_path, simulated(strategies=("random", "same")))
    assert "No strategy differs clearly from random" in summary(page)
    assert "Bold" not in summary(page)


def test_the_summary_compares_final_accuracies_if_the_baseline_reaches_no_level(tmp_path: Path) -> None:
    results = simulated()
    results.loc[results["strategy"] == "random", "accuracy"] = 0.3
    words = report(tmp_path, results).words
    assert "With 400 labels, random has 30 % accuracy (mean of 5 trials). dfal: 93.0" in words

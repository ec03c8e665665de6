"""The report of a simulation: one file that shows comparison's numbers and claims no more than they do."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli import comparison
from dfal_cli.pages.report import write_report
from tests.page import Page

EVIL = "<script>alert(1)</script>&\"'"
NEEDED, DIFFERENCE, CURVE, TIME = "Annotations needed", "Difference to", "The end and the whole", "Time"
COUNTS = (100, 200, 300, 400)


def simulated(trials: int = 5, strategies: tuple[str, ...] = ("random", "dfal", "weak")) -> pd.DataFrame:
    """Results in which dfal is better than random in every trial and weak is worse, and never gets to 85 %."""
    gains = {"random": 0.12, "dfal": 0.18, "weak": 0.06}
    rows = [
        (
            name,
            trial,
            number,
            count,
            0.6 + (number > 0) * (0.05 * number + gains.get(name, 0.12 + 0.01 * (-1) ** trial)),
        )
        for trial in range(1, trials + 1)
        for name in strategies
        for number, count in enumerate(COUNTS)
    ]
    table = pd.DataFrame(rows, columns=["strategy", "trial", "round", "annotations", "accuracy"])
    wobble = 0.003 * np.sin(table["trial"] * table["strategy"].str.len()) * (table["round"] > 0)
    return table.assign(accuracy=table["accuracy"] + wobble, loss=0.5, label_entropy=2.3)


def timed(results: pd.DataFrame) -> pd.DataFrame:
    last = results["round"] == results["round"].max()
    query = (results["round"] + 1.5).where(~last)
    return results[["strategy", "trial", "round"]].assign(train_seconds=2.0, query_seconds=query)


def report(folder: Path, results: pd.DataFrame, settings: dict[str, str] | None = None) -> Page:
    write_report(folder / "report.html", results, timed(results), settings or {"seed": "1"})
    return Page(folder / "report.html")


def test_the_page_needs_nothing_but_itself_and_runs_nothing(tmp_path: Path) -> None:
    page = report(tmp_path, simulated())
    assert not re.search(r"https?:|@import|url\(", page.source)
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe")
        assert not {name for name in attributes if name.startswith("on")}
        if "src" in attributes:
            assert (attributes["src"] or "").startswith("data:image/")


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    first = report(tmp_path, simulated()).source
    assert report(tmp_path, simulated().copy()).source == first
    assert report(tmp_path, simulated(trials=4)).source != first


def test_names_and_settings_are_shown_as_they_are_and_run_nothing(tmp_path: Path) -> None:
    page = report(tmp_path, simulated(strategies=("random", EVIL)), {EVIL: EVIL})
    assert "script" not in {tag for tag, _ in page.tags}
    assert EVIL in page.tables()["Time"]
    assert page.settings() == {EVIL: EVIL}


def test_the_tables_show_comparisons_numbers(tmp_path: Path) -> None:
    results = simulated()
    page = report(tmp_path, results)
    per_trial, spent = comparison.annotations_needed(results, 0.85), comparison.annotations_spent(results)
    needed = comparison.needed(per_trial, spent, "dfal")
    ratio = comparison.ratio(per_trial, spent, "dfal", "random")
    column = page.tables()["Annotations needed for a test accuracy of"]["strategy"].index("85 %")
    assert page.cell(NEEDED, "dfal", column) == (
        f"{needed.mean:.0f} {needed.low:.0f} to {needed.high:.0f} "
        f"×{ratio.mean:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
    )
    gain = comparison.difference(comparison.accuracies_at(results, 300), "dfal", "random")
    assert page.cell(DIFFERENCE, "dfal", 1) == (
        f"{100 * gain.mean:+.2f} {100 * gain.low:+.2f} to {100 * gain.high:+.2f}"
    )
    area = comparison.difference(comparison.areas(results), "weak", "random")
    assert page.cell(CURVE, "weak", 2).startswith(f"{100 * area.mean:+.2f} ")
    assert [page.cell(TIME, "dfal", column) for column in range(4)] == ["2.0", "2.5", "1.5", "3.5"]


def test_an_accuracy_that_was_not_reached_is_shown_as_such(tmp_path: Path) -> None:
    page = report(tmp_path, simulated())
    column = page.tables()["Annotations needed for a test accuracy of"]["strategy"].index("85 %")
    assert page.cell(NEEDED, "weak", column).startswith("not reached in any of 5 trials ≥ ×1.")


def test_an_accuracy_that_some_trials_reached_has_bounds_and_says_how_many(tmp_path: Path) -> None:
    results = simulated()
    results.loc[(results["strategy"] == "random") & (results["trial"] == 2) & (results["round"] > 0), "accuracy"] = 0.7
    page = report(tmp_path, results)
    column = page.tables()["Annotations needed for a test accuracy of"]["strategy"].index("85 %")
    assert re.fullmatch(r"> \d+ in 4 of 5 trials", page.cell(NEEDED, "random", column))
    assert re.search(r"≤ ×0\.\d\d \(up to 0\.\d\d\)$", page.cell(NEEDED, "dfal", column))


def test_the_summary_tells_better_worse_and_neither_apart(tmp_path: Path) -> None:
    words = report(tmp_path, simulated(strategies=("random", "dfal", "weak", "same"))).words
    assert re.search(r"85 % accuracy took random \d+ labels \(5 trials\)", words)
    assert re.search(r"Clearly fewer: dfal \d+, ×0\.\d\d \([^)]*\)\.", words)
    assert re.search(r"Clearly more: weak > 400, ≥ ×1\.\d\d \(from 1\.\d\d\)\.", words)
    assert "Not told apart from random: same" in words


def test_what_is_clear_is_marked_and_what_is_not_is_not(tmp_path: Path) -> None:
    def marks(results: pd.DataFrame) -> set[str | None]:
        return {attributes.get("class") for tag, attributes in report(tmp_path, results).tags if tag == "span"}

    assert marks(simulated()) >= {"better", "worse"}
    assert not marks(simulated(strategies=("random", "same"))) & {"better", "worse"}


@pytest.mark.parametrize(("trials", "reason"), [(1, "One trial: no interval"), (2, "2 trials are too few")])
def test_one_or_two_trials_have_no_interval_and_nothing_is_clear(tmp_path: Path, trials: int, reason: str) -> None:
    page = report(tmp_path, simulated(trials))
    assert reason in page.words
    assert "Clearly" not in page.words
    assert not {"better", "worse"} & {attributes.get("class") for _, attributes in page.tags}
    assert " to " not in page.cell(DIFFERENCE, "dfal", 1)
    assert " to " not in page.cell(NEEDED, "dfal", 0)


def test_a_few_trials_come_with_a_warning_and_six_without(tmp_path: Path) -> None:
    assert "at most 75 of 100 cases" in report(tmp_path, simulated(3)).words
    assert "at most 94 of 100 cases" in report(tmp_path, simulated(5)).words
    assert "at most" not in report(tmp_path, simulated(6)).words


def test_where_the_baseline_gets_nowhere_the_summary_compares_the_end(tmp_path: Path) -> None:
    results = simulated()
    results.loc[results["strategy"] == "random", "accuracy"] = 0.3
    words = report(tmp_path, results).words
    assert "With 400 labels random has 30 % accuracy (5 trials). Clearly more: dfal +" in words


@pytest.mark.parametrize("strategies", [("dfal",), ("weak", "dfal")])
def test_without_random_the_first_strategy_is_what_the_others_are_compared_to(
    tmp_path: Path, strategies: tuple[str, ...]
) -> None:
    page = report(tmp_path, simulated(strategies=strategies))
    assert ("Difference to weak after so many annotations" in page.tables()) == (len(strategies) == 2)
    assert "random" not in page.words


def test_a_simulation_that_asked_nothing_has_a_page_too(tmp_path: Path) -> None:
    results = simulated()
    page = report(tmp_path, results[results["round"] == 0])
    assert page.cell(CURVE, "dfal", 0).startswith("60.00 %")
    assert page.cell(TIME, "dfal", 1) == "–"


def test_strategies_stand_in_the_order_of_their_accuracy_at_the_end(tmp_path: Path) -> None:
    rows = list(report(tmp_path, simulated()).tables()["Time"])
    assert rows == ["strategy", "dfal", "random", "weak"]

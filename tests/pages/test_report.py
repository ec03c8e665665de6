"""The report of a simulation shows the numbers of `comparison` and claims no more than they support."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli.pages.report import write_report
from dfal_cli.pages.report_tables import needed_cell, ratio_text
from dfal_cli.statistics import annotations, comparison
from dfal_cli.strategies import STRATEGIES
from tests.page import Page

EVIL = "<script>alert(1)</script>&\"'"
NEEDED, DIFFERENCE, CURVE, TIME = "Annotations needed", "Difference from", "Final accuracy and area", "Time"
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


def report(
    folder: Path,
    results: pd.DataFrame,
    settings: dict[str, str] | None = None,
    measured_on: comparison.MeasuredOn | None = None,
    jobs: int = 1,
) -> Page:
    write_report(folder / "report.html", results, timed(results), settings or {"seed": "1"}, measured_on, jobs=jobs)
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
    assert page.settings()[EVIL] == EVIL


def test_the_tables_show_comparisons_numbers(tmp_path: Path) -> None:
    results = simulated()
    page = report(tmp_path, results)
    reached = annotations.reached_at(results, 0.85)
    needed = annotations.needed(reached, "dfal")
    ratio = annotations.ratio(reached, "dfal", "random")
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


def test_on_few_test_images_nothing_is_clear_that_one_of_them_makes(tmp_path: Path) -> None:
    results = simulated(trials=3, strategies=("random", "dfal"))
    results["accuracy"] = 0.5 + 0.1 * (results["round"] > 0) + 0.01 * (results["strategy"] == "dfal")
    unknown, few = (report(tmp_path, results, measured_on=test) for test in (None, comparison.MeasuredOn(100, 30)))
    assert 'class="better">+1.00<' in unknown.source
    assert few.cell(DIFFERENCE, "dfal", 1) == "+1.00 -0.0001 to +2.00"
    assert 'class="better">' not in few.source
    assert "One of the 100 test images is worth 1 percentage point:" in few.words
    assert "test images counts" not in unknown.words


@pytest.mark.parametrize("seed", range(3))
def test_a_number_is_marked_exactly_if_its_printed_interval_excludes_equality(tmp_path: Path, seed: int) -> None:
    """Of three trials, often near the edge."""
    names = ("random", *(f"s{number}" for number in range(8)))
    results = simulated(trials=3, strategies=names)
    noise = np.random.default_rng(seed).normal(size=len(results)) * 0.02 * (results["round"] > 0)
    gain = results["strategy"].map({name: 0.01 * number for number, name in enumerate(names)}) * (results["round"] > 0)
    source = report(tmp_path, results.assign(accuracy=results["accuracy"] + noise + gain)).source.replace("\xa0", " ")
    cells = [(cell, "".join(re.findall(">([^<]*)", cell))) for cell in re.findall("<td>.*?</td>", source)]
    ends = r"([-+]?[\d.]+) to ([-+]?[\d.]+)"
    seen = set()
    for form, equality in ((rf"[-+]\d+\.\d\d{ends}", 0), (rf".*×[\d.]+ \({ends}\)", 1)):
        compared = [(cell, found) for cell, text in cells if (found := re.fullmatch(form, text))]
        for cell, found in compared:
            low, high = map(float, found.groups())
            assert ('class="better"' in cell or 'class="worse"' in cell) == (low > equality or high < equality)
            seen.add((equality, low > equality or high < equality))
    assert seen == {(0, True), (0, False), (1, True), (1, False)}


def test_an_end_that_would_be_rounded_to_equality_has_more_digits(tmp_path: Path) -> None:
    gain = annotations.Ratio(0.9, 0.8, 0.9996, "")
    assert ratio_text(gain) == "×0.90 (0.80\xa0to\xa00.9996)"
    assert gain.clear


def test_an_interval_that_a_trial_only_just_closed_is_shown_as_open() -> None:
    results = simulated(trials=3, strategies=("random", "dfal"))
    results["accuracy"] = results["round"].map({0: 0.5, 1: 0.7, 2: 0.8, 3: 0.9}) + 0.03 * (
        (results["strategy"] == "random") & (results["round"] > 0)
    )
    reached = annotations.reached_at(results, 0.9, 0.01)
    assert needed_cell(reached, "dfal", "random").details[0] == "from\xa0395"
    cell = needed_cell(reached, "dfal", "random")
    assert re.fullmatch(r"×1\.08 \(from\xa01\.0\d\)", cell.details[1])
    assert ratio_text(annotations.Ratio(0.9, 0, float("inf"), "")) == "×0.90"


def test_the_page_describes_each_known_strategy(tmp_path: Path) -> None:
    page = report(tmp_path, simulated(strategies=("random", "dfal", "dfal-without-twins", "core-set", "mine")))
    said = page.settings()
    for name in ("random", "dfal", "core-set"):
        assert STRATEGIES[name].help in said[name]
    assert "also trains on" in said["dfal"]
    assert said["dfal-without-twins"].startswith(STRATEGIES["dfal"].help)
    assert "without twins" in said["dfal-without-twins"]
    assert "mine" not in said


def test_only_clear_differences_are_marked(tmp_path: Path) -> None:
    def marks(results: pd.DataFrame) -> set[str | None]:
        return {attributes.get("class") for tag, attributes in report(tmp_path, results).tags if tag == "span"}

    assert marks(simulated()) >= {"better", "worse"}
    assert not marks(simulated(strategies=("random", "same"))) & {"better", "worse"}


@pytest.mark.parametrize(("trials", "reason"), [(1, "One trial gives no intervals"), (2, "2 trials are too few")])
def test_one_or_two_trials_have_no_interval_of_a_comparison_and_nothing_is_clear(
    tmp_path: Path, trials: int, reason: str
) -> None:
    page = report(tmp_path, simulated(trials))
    assert reason in page.words
    assert ("How to read the tables" in page.words) == (trials == 2), "mean accuracies have intervals"
    assert "differs clearly" not in page.words
    assert "clearly" not in page.words
    assert not {"better", "worse"} & {attributes.get("class") for _, attributes in page.tags}
    assert " to " not in page.cell(DIFFERENCE, "dfal", 1)
    assert " to " not in page.cell(NEEDED, "dfal", 0)


def test_a_few_trials_come_with_a_warning_and_six_without(tmp_path: Path) -> None:
    assert "intervals of 3 trials are wide" in report(tmp_path, simulated(3)).words
    assert "intervals of 5 trials are wide" in report(tmp_path, simulated(5)).words
    assert "trials are wide" not in report(tmp_path, simulated(6)).words


@pytest.mark.parametrize("strategies", [("dfal",), ("weak", "dfal")])
def test_without_random_the_first_strategy_is_what_the_others_are_compared_to(
    tmp_path: Path, strategies: tuple[str, ...]
) -> None:
    page = report(tmp_path, simulated(strategies=strategies))
    assert ("Difference from weak by number of annotations" in page.tables()) == (len(strategies) == 2)
    assert "random" not in page.words


def test_a_simulation_without_queries_has_a_page_too(tmp_path: Path) -> None:
    results = simulated()
    page = report(tmp_path, results[results["round"] == 0])
    assert page.cell(CURVE, "dfal", 0).startswith("60.00 %")
    assert page.cell(TIME, "dfal", 1) == "–"


def test_strategies_are_sorted_by_final_accuracy(tmp_path: Path) -> None:
    rows = list(report(tmp_path, simulated()).tables()["Time"])
    assert rows == ["strategy", "dfal", "random", "weak"]

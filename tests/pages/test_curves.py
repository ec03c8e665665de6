"""The picture of the learning curves, as it is drawn."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dfal_cli.pages import curves
from dfal_cli.pages.curve_looks import ON_DARK, looks_of, on_dark
from dfal_cli.pages.curves import curves_svg, write_curves
from dfal_cli.statistics.comparison import MeasuredOn, mean_curves
from tests.conftest import write
from tests.pages.test_report import simulated

TWELVE = (*(f"strategy-{number}" for number in range(11)), "random")


def test_the_same_results_give_the_same_bytes_whatever_the_users_own_settings(tmp_path: Path) -> None:
    write_curves(tmp_path / "a.png", simulated())
    svg = curves_svg(simulated())
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": None}):
        write_curves(tmp_path / "b.png", simulated())
        assert curves_svg(simulated()) == svg
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert min(picture.size) > 500


def test_a_dozen_strategies_differ_in_colour_or_line_and_in_marker() -> None:
    looks = looks_of(list(TWELVE)).values()
    assert len({(look.color, look.linestyle) for look in looks}) == 12
    assert len({look.marker for look in looks}) == 12


def test_more_strategies_than_markers_still_have_a_look_each() -> None:
    looks = looks_of([f"strategy-{number}" for number in range(20)])
    assert len({(look.color, look.linestyle) for look in looks.values()}) == 21


def test_a_read_only_home_folder_causes_no_message(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, pandas; from dfal_cli.pages.curves import write_curves; "
        "write_curves(pathlib.Path(sys.argv[1]), pandas.read_csv(sys.argv[2]))"
    )
    rows = write(tmp_path / "r.csv", "strategy,trial,round,annotations,accuracy", "random,1,0,4,0.5")
    nowhere = {**os.environ, "HOME": "/dev/null", "XDG_CONFIG_HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null"}
    nowhere.pop("MPLCONFIGDIR", None)
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "c.png", rows],
        env=nowhere, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def drawn(results: pd.DataFrame, measured_on: MeasuredOn | None = None) -> "matplotlib.figure.Figure":
    return curves._draw(results, measured_on)


def test_the_curve_is_the_raw_mean_and_the_band_its_interval() -> None:
    results = simulated()
    results.loc[results["round"] == 3, "accuracy"] -= 0.2  # a dip at the end
    axes = drawn(results).axes[-1]
    (line,) = (line for line in axes.lines if line.get_label() == "dfal")
    rows = mean_curves(results).query("strategy == 'dfal'")
    assert np.array(line.get_ydata()) == pytest.approx(rows["mean"].to_numpy())
    heights = np.concatenate([path.vertices[:, 1] for band in axes.collections for path in band.get_paths()])
    assert set(rows["low"]) | set(rows["high"]) <= set(heights)


def test_one_trial_has_no_band_and_the_picture_says_so() -> None:
    figure = drawn(simulated(trials=1))
    assert "one trial" in figure.get_suptitle()
    assert not [path for axes in figure.axes for band in axes.collections for path in band.get_paths() if len(path)]


def test_the_legend_is_sorted_by_final_accuracy() -> None:
    (legend,) = drawn(simulated()).legends
    assert [text.get_text().split()[0] for text in legend.get_texts()] == ["dfal", "random", "weak"]


def test_an_enlarged_part_without_low_first_rounds_comes_with_the_full_range() -> None:
    results = simulated().assign(accuracy=lambda table: table["accuracy"].where(table["round"] > 0, 0.1))
    whole, main = drawn(results).axes
    assert whole.get_ylim()[0] <= 0.1
    assert main.get_ylim()[0] > 0.5
    assert re.match(r"shaded part of the full range, from \d+ %$", main.get_title())
    later = mean_curves(results).query("annotations > 200")
    assert main.get_ylim()[0] <= later["low"].min()


def with_accuracies(*accuracies: float) -> pd.DataFrame:
    """The same in all trials."""
    return simulated().assign(accuracy=lambda table: table["round"].map(dict(enumerate(accuracies))))


@pytest.mark.parametrize(
    "accuracies",
    [
        (0.28, 0.34, 0.35, 0.35),  # a narrow whole
        (0.1, 0.2, 0.3, 0.9),  # the early rounds are not apart from the others
    ],
)
def test_curves_without_low_first_rounds_are_not_enlarged(accuracies: tuple[float, ...]) -> None:
    assert len(drawn(with_accuracies(*accuracies)).axes) == 1


def test_two_rounds_are_not_enlarged() -> None:
    results = with_accuracies(0.1, 0.9, 0.95, 0.96)
    assert len(drawn(results[results["round"].isin((0, 1, 2))]).axes) == 1
    assert len(drawn(results).axes) == 2


@pytest.mark.parametrize("accuracy", [0.0, 0.3, 0.99, 1.0])
def test_nearly_equal_accuracies_are_drawn_as_such(accuracy: float) -> None:
    low, high = drawn(with_accuracies(*[accuracy] * 4)).axes[-1].get_ylim()
    assert 0.05 < high - low < 0.06
    assert low < accuracy < high
    assert -0.01 < low < high < 1.01


def bands(figure: "matplotlib.figure.Figure") -> list[np.ndarray]:
    return [path.vertices[:, 1] for axes in figure.axes for band in axes.collections for path in band.get_paths()]


def test_of_many_strategies_only_the_best_dfal_and_random_have_a_band() -> None:
    figure = drawn(simulated(strategies=("random", "dfal", "weak", "a", "b")))
    assert len(bands(figure)) == 2  # dfal is the best
    assert "shaded (only for dfal, random)" in figure.get_suptitle()
    assert len(figure.axes[-1].lines) == 5
    few = drawn(simulated(strategies=("random", "dfal", "weak", "a")))
    assert len(bands(few)) == 4
    assert "only for" not in few.get_suptitle()


def test_bands_stay_between_0_and_1() -> None:
    results = simulated(trials=5).assign(accuracy=lambda table: (table["trial"] == 1) * 0.5)
    heights = np.concatenate(bands(drawn(results)))
    assert heights.min() == 0
    assert heights.max() > 0.2


def test_curves_that_are_perfect_from_the_second_round_on_can_be_drawn() -> None:
    perfect = simulated().assign(accuracy=lambda table: 0.5 + 0.5 * (table["round"] > 0))
    main = drawn(perfect).axes[-1]
    assert 0.5 < main.get_ylim()[0] < 1 < main.get_ylim()[1]


def test_curves_that_fill_the_picture_are_not_cut() -> None:
    steady = simulated().assign(accuracy=lambda table: 0.5 + 0.1 * table["round"])
    (axes,) = drawn(steady).axes
    assert axes.get_ylim()[0] <= 0.5


def test_a_name_with_dollars_is_written_as_it_is(tmp_path: Path) -> None:
    write_curves(tmp_path / "a.png", simulated(strategies=("random", "$\\bad{$")))
    assert (tmp_path / "a.png").exists()


def test_one_round_can_be_drawn(tmp_path: Path) -> None:
    results = simulated()
    write_curves(tmp_path / "a.png", results[results["round"] == 0])
    assert (tmp_path / "a.png").exists()


def heights_of_thin_lines(figure: "matplotlib.figure.Figure") -> list[list[float]]:
    return [list(line.get_ydata()) for line in figure.axes[-1].lines if line.get_linewidth() < 1]


def test_few_trials_are_drawn_one_by_one_in_place_of_intervals() -> None:
    results = simulated(trials=4)
    figure = drawn(results)
    single = results.groupby(["strategy", "trial"], sort=False)["accuracy"].agg(list)
    assert sorted(heights_of_thin_lines(figure)) == sorted(single)
    assert not [heights for heights in bands(figure) if len(heights)]
    assert figure.get_suptitle() == "mean of 4 trials; thin lines: single trials"
    low, high = figure.axes[-1].get_ylim()
    assert low <= results["accuracy"].min() < results["accuracy"].max() <= high


@pytest.mark.parametrize("trials", [1, 5])
def test_one_trial_and_five_have_no_thin_lines(trials: int) -> None:
    assert not heights_of_thin_lines(drawn(simulated(trials)))


def test_of_many_strategies_only_those_with_intervals_have_thin_lines() -> None:
    figure = drawn(simulated(trials=3, strategies=("random", "dfal", "weak", "a", "b")))
    assert len(heights_of_thin_lines(figure)) == 2 * 3
    assert "(only for dfal, random)" in figure.get_suptitle()


def test_chance_is_a_line_in_the_full_range_and_in_the_legend() -> None:
    """It is far below the curves, which are enlarged beside it."""
    figure = drawn(simulated(), MeasuredOn(400, 50))
    whole, main = figure.axes
    (chance,) = (line for line in whole.lines if line.get_label() == "chance")
    assert set(chance.get_ydata()) == {0.125}
    assert whole.get_ylim()[0] < 0.125
    assert 0.5 < main.get_ylim()[0] <= mean_curves(simulated())["low"].min()
    (legend,) = figure.legends
    assert legend.get_texts()[-1].get_text() == "chance  12.5 %"
    near = drawn(simulated(), MeasuredOn(400, 200))
    assert len(near.axes) == 1
    assert not [line for line in drawn(simulated()).axes[-1].lines if line.get_label() == "chance"]


def test_every_colour_of_the_picture_has_a_counterpart_for_dark_pages() -> None:
    light = curves_svg(simulated(strategies=TWELVE), MeasuredOn(400, 50))
    colour = re.compile(r"#[0-9a-f]{6}\b")
    assert set(colour.findall(light)) == set(ON_DARK)
    assert set(colour.findall(on_dark(light))) == set(ON_DARK.values())

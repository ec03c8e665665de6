"""Learning curves: test accuracy over the number of annotations."""

import io
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dfal_cli.pages.curve_looks import INK, SETTINGS, looks_of
from dfal_cli.statistics.comparison import MeasuredOn, baseline_of, mean_curves, ranked_strategies, strategies_of
from dfal_cli.statistics.intervals import Values
from dfal_cli.system.files import atomic_output

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_INCHES = (10, 5.4)

# The figure has an additional enlarged part if ...
EARLY = 0.3
"""... low accuracies occur only in this first share of the annotations, ..."""
MIN_WASTED_HEIGHT = 0.35
"""... they take more than this share of the height, ..."""
MIN_SPAN_TO_ENLARGE = 0.3
"""... the curves span more accuracy than this, ..."""
MIN_ENLARGED_ROUNDS = 3
"""... and the enlarged part has at least this number of rounds."""

MIN_AXIS_SPAN = 0.05
"""Minimum span of the accuracy axis, so that tiny differences do not look large."""

MAIN_STRATEGY = "dfal"
"""The interval of this strategy is always drawn."""

MAX_BANDS = 4
"""With more strategies, only some intervals are drawn, because too many bands hide each other."""

MARGIN_SHARE = 0.03
"""Share of the height that stays empty below and above the curves."""

CHANCE = "chance"
"""Label of the accuracy of always predicting the largest class of the test images."""

MAX_MARKERS = 20
"""Maximum number of markers on a curve; with more rounds, only some are marked."""

FEW_TRIALS = 5
"""With fewer trials, the picture shows each of them instead of intervals, which would hide everything else."""


def write_curves(path: Path, results: pd.DataFrame, measured_on: MeasuredOn | None = None) -> None:
    """Draw each strategy's mean over trials, with Student's 95 % interval or single trials, as a PNG.

    results: columns strategy, trial, round, annotations and accuracy of results.csv. Means are of the raw accuracies,
    without a running maximum. measured_on: the test images, if known.
    """
    with atomic_output(path) as temporary:
        temporary.write_bytes(_drawn(results, measured_on, "png", {"Software": None}))


def curves_svg(results: pd.DataFrame, measured_on: MeasuredOn | None = None) -> str:
    """Return the picture of `write_curves` as an SVG without a background, for an HTML page."""
    return _drawn(results, measured_on, "svg", {"Date": None, "Creator": None}, facecolor="none").decode()


def shows_single_trials(results: pd.DataFrame) -> bool:
    """Return whether the picture shows single trials."""
    return 1 < int(results["trial"].nunique()) < FEW_TRIALS


def _drawn(
    results: pd.DataFrame, measured_on: MeasuredOn | None, kind: str, metadata: dict[str, Any], **settings: Any
) -> bytes:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # before the import, which logs the folders it creates
    from matplotlib import style

    buffer = io.BytesIO()
    with style.context(SETTINGS, after_reset=True):  # ignore the user's own matplotlib settings
        _draw(results, measured_on).savefig(buffer, format=kind, metadata=metadata, dpi=150, **settings)
    return buffer.getvalue()


def _draw(results: pd.DataFrame, measured_on: MeasuredOn | None = None) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chance = measured_on.largest / measured_on.images if measured_on else None
    curves = mean_curves(results, measured_on.step if measured_on else 0.0)
    detailed = _detailed(results)
    single = results[results["strategy"].isin(detailed)] if shows_single_trials(results) else results[:0]
    curves.loc[~curves["strategy"].isin(detailed if single.empty else []), ["low", "high"]] = math.nan
    cut = _cut(curves, chance)
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    if cut is None:
        main = figure.add_subplot()
    else:
        whole, main = figure.subplots(1, 2, width_ratios=(1, 3.2))
        _plot(whole, curves, single, chance)
        whole.axhspan(cut, whole.get_ylim()[1], color=INK, alpha=0.06, linewidth=0)
        whole.set_title("full range", fontsize=10)
    _plot(main, curves, single, chance)
    if cut is not None:
        main.set_ylim(bottom=cut)
        main.set_title(f"shaded part of the full range, from {100 * cut:.0f} %", fontsize=10)
    figure.supxlabel("annotations", fontsize=10)
    figure.supylabel("test accuracy", fontsize=10)
    _add_legend(figure, main, results, curves)
    figure.suptitle(_title(results, detailed), fontsize=11)
    return figure


def _title(results: pd.DataFrame, detailed: list[str]) -> str:
    trials = results["trial"].nunique()
    if trials == 1:
        return "one trial, no intervals"
    some = "" if len(detailed) == results["strategy"].nunique() else f" (only for {', '.join(detailed)})"
    if shows_single_trials(results):
        return f"mean of {trials} trials; thin lines{some}: single trials"
    return f"mean of {trials} trials; shaded{some}: 95 % interval of the mean (Student's t)"


def _detailed(results: pd.DataFrame) -> list[str]:
    """Return the strategies drawn with intervals or trials: all, or if there are many, the best, dfal, the baseline."""
    ranked = ranked_strategies(results)
    if len(ranked) <= MAX_BANDS:
        return ranked
    return [name for name in ranked if name in (ranked[0], MAIN_STRATEGY, baseline_of(results))]


def _plot(axes: "Axes", curves: pd.DataFrame, single: pd.DataFrame, chance: float | None) -> None:
    """Draw the curves into a part of the picture. single: the results that are drawn trial by trial."""
    from matplotlib.ticker import MaxNLocator

    looks = looks_of(strategies_of(curves))
    for strategy, rows in curves.sort_values("annotations").groupby("strategy", sort=False):
        look = looks[str(strategy)]._asdict()
        every = -(-len(rows) // MAX_MARKERS)
        axes.plot(rows["annotations"], rows["mean"], label=str(strategy), markersize=4.5, markevery=every, **look)
        axes.fill_between(rows["annotations"], rows["low"], rows["high"], color=look["color"], alpha=0.10, linewidth=0)
    for (name, _), rows in single.sort_values("annotations").groupby(["strategy", "trial"], sort=False):
        axes.plot(rows["annotations"], rows["accuracy"], color=looks[str(name)].color, linewidth=0.6, alpha=0.55)
    if chance is not None:
        axes.axhline(chance, color=INK, linestyle=(0, (1, 2.5)), linewidth=1.3, label=CHANCE)
    shown = [curves[["mean", "low", "high"]].to_numpy().ravel(), single["accuracy"].to_numpy()]
    _limit(axes, np.concatenate([*shown, [] if chance is None else [chance]]))
    axes.yaxis.set_major_formatter(lambda accuracy, _: f"{round(100 * accuracy, 3):g} %")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axes.grid(alpha=0.13)
    axes.spines[["top", "right"]].set_visible(False)


def _limit(axes: "Axes", accuracies: Values) -> None:
    """Set the limits of the accuracy axis, with nan among what is shown."""
    lowest, highest = float(np.nanmin(accuracies)), float(np.nanmax(accuracies))
    lowest = max(0.0, min(lowest, min((lowest + highest) / 2, 1 - MIN_AXIS_SPAN / 2) - MIN_AXIS_SPAN / 2))
    highest = max(highest, lowest + MIN_AXIS_SPAN)
    margin = MARGIN_SHARE * (highest - lowest)
    axes.set_ylim(lowest - margin, highest + margin)


def _cut(curves: pd.DataFrame, chance: float | None) -> float | None:
    """Return where the accuracy axis of the enlarged part begins, in whole percent; None if there is no such part."""
    cut = _cut_of_curves(curves)
    lowest, highest = float(curves[["mean", "low"]].min().min()), float(curves["mean"].max())
    if cut is not None or chance is None or lowest - chance <= MIN_WASTED_HEIGHT * (highest - chance):
        return cut
    return math.floor(100 * (lowest - MARGIN_SHARE * (highest - lowest))) / 100


def _cut_of_curves(curves: pd.DataFrame) -> float | None:
    """Return where to cut off low accuracies of the first rounds."""
    first, last = curves["annotations"].min(), curves["annotations"].max()
    later = curves.loc[curves["annotations"] > first + EARLY * (last - first)]
    lowest, highest = curves["mean"].min(), curves["mean"].max()
    if later["annotations"].nunique() < MIN_ENLARGED_ROUNDS or highest - lowest <= MIN_SPAN_TO_ENLARGE:
        return None
    cut = min(later["mean"].min(), later["low"].min(), highest - MIN_AXIS_SPAN) - MARGIN_SHARE * (highest - lowest)
    return math.floor(100 * cut) / 100 if cut - lowest > MIN_WASTED_HEIGHT * (highest - lowest) else None


def _add_legend(figure: "Figure", axes: "Axes", results: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Add a legend beside the picture, by decreasing final accuracy, the order in which the curves end."""
    last = curves.sort_values("annotations").groupby("strategy")["mean"].last()
    lines = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    ranked = ranked_strategies(results)
    texts = [f"{name}  {100 * last[name]:.1f} %" for name in ranked]
    if CHANCE in lines:
        texts.append(f"{CHANCE}  {100 * lines[CHANCE].get_ydata()[0]:.1f} %")
        ranked = [*ranked, CHANCE]
    figure.legend(
        [lines[name] for name in ranked], texts,
        loc="outside right center", title="final accuracy", frameon=False, handlelength=3.6, alignment="left",
    )  # fmt: skip

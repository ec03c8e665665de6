"""Learning curves: test accuracy over the number of annotations."""

import io
import itertools
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from dfal_cli.statistics.comparison import BASELINE, baseline_of, mean_curves, ranked_strategies, strategies_of
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

MAX_MARKERS = 20
"""Maximum number of markers on a curve; with more rounds, only some are marked."""

SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "dfal", "text.parse_math": False, "font.family": "DejaVu Sans", "font.size": 10,
}  # fmt: skip
"""Make output reproducible, and show the names of strategies literally."""


class Look(NamedTuple):
    """The style of a curve. Any two curves differ in colour or line style, and the first twelve also in marker."""

    color: str
    linestyle: str | tuple[int, tuple[float, ...]]
    marker: str
    linewidth: float = 1.6


# The colours of Okabe and Ito, which colour-blind people can distinguish, without yellow (too pale) and black.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
LINES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = "osD^vPX*<>ph"
BASELINE_LOOK = Look("#333333", (0, (4, 2)), "x", 2.2)


def write_curves(path: Path, results: pd.DataFrame, step: float = 0.0) -> None:
    """Draw each strategy's mean over trials, with Student's 95 % interval, as a PNG.

    results: columns strategy, trial, round, annotations and accuracy of results.csv. Means are of the raw accuracies,
    without a running maximum. step: the accuracy of one test image, see `comparison`.
    """
    with atomic_output(path) as temporary:
        temporary.write_bytes(_drawn(results, step, "png", {"Software": None}))


def curves_svg(results: pd.DataFrame, step: float = 0.0) -> bytes:
    """Return the picture of `write_curves` as an SVG, for an HTML page."""
    return _drawn(results, step, "svg", {"Date": None, "Creator": None})


def _drawn(results: pd.DataFrame, step: float, kind: str, metadata: dict[str, Any]) -> bytes:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # before the import, which logs the folders it creates
    from matplotlib import style

    buffer = io.BytesIO()
    with style.context(SETTINGS, after_reset=True):  # ignore the user's own matplotlib settings
        _draw(results, step).savefig(buffer, format=kind, metadata=metadata, dpi=150)
    return buffer.getvalue()


def _draw(results: pd.DataFrame, step: float = 0.0) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = mean_curves(results, step)
    banded = _banded(results)
    curves.loc[~curves["strategy"].isin(banded), ["low", "high"]] = math.nan
    cut = _cut(curves)
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    if cut is None:
        main = figure.add_subplot()
    else:
        whole, main = figure.subplots(1, 2, width_ratios=(1, 3.2))
        _plot(whole, curves)
        whole.axhspan(cut, whole.get_ylim()[1], color="#000000", alpha=0.05, linewidth=0)
        whole.set_title("full range", fontsize=10)
    _plot(main, curves)
    if cut is not None:
        main.set_ylim(bottom=cut)
        main.set_title(f"shaded part of the full range, from {100 * cut:.0f} %", fontsize=10)
    figure.supxlabel("annotations", fontsize=10)
    figure.supylabel("test accuracy", fontsize=10)
    _add_legend(figure, main, results, curves)
    figure.suptitle(_title(results, banded), fontsize=11)
    return figure


def _title(results: pd.DataFrame, banded: list[str]) -> str:
    trials = results["trial"].nunique()
    if trials == 1:
        return "one trial, no intervals"
    some = "" if len(banded) == results["strategy"].nunique() else f" (only for {', '.join(banded)})"
    return f"mean of {trials} trials; shaded{some}: 95 % interval of the mean (Student's t)"


def _banded(results: pd.DataFrame) -> list[str]:
    """Return the strategies whose interval is drawn: all, or if there are many, the best, dfal and the baseline."""
    ranked = ranked_strategies(results)
    if len(ranked) <= MAX_BANDS:
        return ranked
    return [name for name in ranked if name in (ranked[0], MAIN_STRATEGY, baseline_of(results))]


def _plot(axes: "Axes", curves: pd.DataFrame) -> None:
    from matplotlib.ticker import MaxNLocator

    looks = _looks(strategies_of(curves))
    for strategy, rows in curves.sort_values("annotations").groupby("strategy", sort=False):
        look = looks[str(strategy)]._asdict()
        every = -(-len(rows) // MAX_MARKERS)
        axes.plot(rows["annotations"], rows["mean"], label=str(strategy), markersize=4.5, markevery=every, **look)
        axes.fill_between(rows["annotations"], rows["low"], rows["high"], color=look["color"], alpha=0.10, linewidth=0)
    lowest, highest = (min(curves["mean"].min(), curves["low"].min()), max(curves["mean"].max(), curves["high"].max()))
    lowest = max(0.0, min(lowest, min((lowest + highest) / 2, 1 - MIN_AXIS_SPAN / 2) - MIN_AXIS_SPAN / 2))
    highest = max(highest, lowest + MIN_AXIS_SPAN)
    margin = MARGIN_SHARE * (highest - lowest)
    axes.set_ylim(lowest - margin, highest + margin)
    axes.yaxis.set_major_formatter(lambda accuracy, _: f"{round(100 * accuracy, 3):g} %")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _looks(strategies: list[str]) -> dict[str, Look]:
    """Return a look for each strategy, in the user's order; random has its own."""
    others = [strategy for strategy in strategies if strategy != BASELINE]
    cycle = (
        Look(color, line, marker)
        for (line, color), marker in zip(itertools.cycle(itertools.product(LINES, COLORS)), itertools.cycle(MARKERS))
    )
    return dict(zip(others, cycle, strict=False)) | {BASELINE: BASELINE_LOOK}


def _cut(curves: pd.DataFrame) -> float | None:
    """Return where the accuracy axis of the enlarged part begins, in whole percent; None if there is no such part."""
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
    figure.legend(
        [lines[name] for name in ranked], [f"{name}  {100 * last[name]:.1f} %" for name in ranked],
        loc="outside right center", title="final accuracy", frameon=False, handlelength=3.6, alignment="left",
    )  # fmt: skip

"""The page of `dfal status`: a self-contained HTML file with the learning curve and its continuation."""

import io
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dfal_cli import __version__
from dfal_cli.pages.curve_looks import COLORS, INK, MARKERS, SETTINGS, pictures_of
from dfal_cli.pages.template import is_made_by, write_page
from dfal_cli.statistics.intervals import Interval
from dfal_cli.statistics.learning_curve import Law

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GENERATOR = "dfal status"
"""The generator mark of the pages."""

COUNTED = ("labelled", "unusable", "left")
"""Names of the counts of images."""

SIZE_INCHES = (9, 4.4)

LEAST_SPACE = 0.08
"""Space below the lowest interval, on the accuracy axis."""

FARTHEST_SHOWN = 4
"""The continuation is drawn up to this multiple of the labels so far."""


class Point(NamedTuple):
    """A measured accuracy."""

    labels: int
    accuracy: float
    low: float
    high: float


class Chart(NamedTuple):
    """What the picture shows."""

    series: Mapping[str, Sequence[Point]]
    """What is measured on -> its points. The curve is fitted to the first."""
    target: float
    law: Law | None
    """The fitted curve."""
    interval: Interval | None
    """Of the number of labels for the target."""


def write_status(
    page: Path, *, line: str, counts: tuple[int, int, int | None], classes: Sequence[tuple[str, str, str]],
    heads: Sequence[str], rows: Sequence[Sequence[str]], control: Sequence[str], outlook: str, chart: Chart | None,
    rules: Sequence[tuple[str, str, str]], time: str,
) -> None:  # fmt: skip
    """Write the page. counts: labelled, unusable, left. classes, rules: name, what is said of it, and a mark."""
    pictures = pictures_of(chart_svg(chart)) if chart is not None else {}
    numbers = {name: "unknown" if count is None else f"{count:,}" for name, count in zip(COUNTED, counts, strict=True)}
    write_page(
        page, "status.html.jinja", GENERATOR, version=__version__, line=line, counts=numbers,
        classes=classes, heads=heads, rows=rows, control=control, outlook=outlook, pictures=pictures, rules=rules,
        time=time,
    )  # fmt: skip


def is_status_page(page: Path) -> bool:
    """Return whether a file is a page of this command."""
    return is_made_by(GENERATOR, page)


def chart_svg(chart: Chart) -> str:
    """Return the picture as an SVG without a background. Equal charts give equal text."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # before the import, which logs the folders it creates
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with style.context(SETTINGS, after_reset=True):  # ignore the user's own matplotlib settings
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for (name, points), color, marker in zip(chart.series.items(), COLORS, MARKERS, strict=False):
            labels, shares, low, high = (np.array(each, float) for each in zip(*points, strict=True))
            reach = np.stack([shares - low, high - shares]).clip(0)
            axes.errorbar(labels, shares, reach, fmt=marker, color=color, capsize=2.5, elinewidth=1, label=name)
        axes.axhline(
            chart.target, color=INK, linestyle=(0, (1, 2.5)), linewidth=1.2, label=f"target {100 * chart.target:g} %"
        )
        last = max(point.labels for points in chart.series.values() for point in points)
        if chart.law is not None:
            _add_continuation(axes, chart, last)
        axes.yaxis.set_major_formatter(lambda share, _: f"{round(100 * share, 3):g} %")
        # The wide intervals of a few control images would hide everything else.
        lowest = min(point.low for point in next(iter(chart.series.values())))
        axes.set_ylim(max(0.0, lowest - LEAST_SPACE), 1 + LEAST_SPACE / 4)
        axes.set_xlabel("labels")
        axes.set_ylabel("accuracy")
        axes.grid(alpha=0.13)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower right", frameon=False)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, facecolor="none")
    return buffer.getvalue().decode()


def _add_continuation(axes: "Axes", chart: Chart, last: int) -> None:
    """Draw the fitted curve, and the interval of the labels for the target as far as it is on the picture."""
    assert chart.law is not None
    first = min(point.labels for point in next(iter(chart.series.values())))
    low, high = chart.interval or (math.inf, math.inf)
    end = min(FARTHEST_SHOWN * last, 1.1 * max(high if math.isfinite(high) else 0, 2 * last))
    counts = np.linspace(first, end, 300)
    axes.plot(counts, chart.law.at(counts), color=COLORS[0], linewidth=1.4, label="fitted curve")
    if low < end:
        axes.axvspan(low, min(high, end), color=COLORS[1], alpha=0.13, linewidth=0, label="labels for the target")

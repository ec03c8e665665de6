"""The style of learning curves: a look for each strategy, and the colours for dark pages."""

import base64
import itertools
from typing import Any, NamedTuple

from dfal_cli.statistics.comparison import BASELINE

Line = str | tuple[int, tuple[float, ...]]


class Look(NamedTuple):
    """The style of a curve. Any two curves differ in colour or line style, and the first twelve also in marker."""

    color: str
    linestyle: Line
    marker: str
    linewidth: float = 1.6


INK = "#191b1f"

# The colours of Okabe and Ito, which colour-blind people can distinguish, without yellow (too pale) and black.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
LINES: tuple[Line, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = "osD^vPX*<>ph"
BASELINE_LOOK = Look("#333333", (0, (4, 2)), "x", 2.2)

ON_DARK = dict(
    zip(
        (INK, BASELINE_LOOK.color, *COLORS),
        ("#e6e8eb", "#d6d6d6", "#5b97ff", "#ff7f4d", "#2fc99a", "#e79cc8", "#8bdcff", "#ffc24d"),
        strict=True,
    )
)
"""Colour -> its counterpart on a dark page."""

INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")

SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "dfal", "text.parse_math": False, "font.family": "DejaVu Sans", "font.size": 10,
    "axes.facecolor": "none", **dict.fromkeys(INKED, INK),
}  # fmt: skip
"""Make output reproducible, and show the names of strategies literally."""


def looks_of(strategies: list[str]) -> dict[str, Look]:
    """Return a look for each strategy, in the user's order; random has its own."""
    others = [strategy for strategy in strategies if strategy != BASELINE]
    lines = itertools.cycle(itertools.product(LINES, COLORS))
    cycle = (Look(color, line, marker) for (line, color), marker in zip(lines, itertools.cycle(MARKERS)))
    return dict(zip(others, cycle, strict=False)) | {BASELINE: BASELINE_LOOK}


def pictures_of(svg: str) -> dict[str, str]:
    """Return the picture for light and for dark pages, as data: URIs."""
    return {"light": _uri(svg), "dark": _uri(on_dark(svg))}


def _uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def on_dark(svg: str) -> str:
    """Return the picture for a dark page."""
    for light, dark in ON_DARK.items():
        svg = svg.replace(light, dark)
    return svg

"""The page of where a project stands."""

from pathlib import Path

from dfal_cli.pages.status import Chart, Point, write_status
from dfal_cli.steps.rounds import CONTROL_SLICE
from dfal_cli.steps.status.gathering import Status
from dfal_cli.steps.status.words import (
    RARE_MARK,
    accuracy_rows,
    control_lines,
    line,
    outlook_in_words,
    rule_lines,
    time_in_words,
)


def write_page_of(page: Path, status: Status) -> None:
    """Write the page, atomically."""
    heads, rows = accuracy_rows(status)
    classes = [(name, f"{count:,}", RARE_MARK if name in status.rare else "") for name, count in status.counts.items()]
    write_status(
        page, line=line(status), counts=(status.labelled, status.unusable, status.left), classes=classes, heads=heads,
        rows=rows, control=control_lines(status.control) if status.control else [],
        outlook=outlook_in_words(status), chart=_chart(status), rules=rule_lines(status),
        time=time_in_words(status),
    )  # fmt: skip


def _chart(status: Status) -> Chart | None:
    """The learning curve; None without accuracies."""
    curve, forecast = status.outlook.curve, status.outlook.forecast
    if not curve:
        return None
    points = [Point(labels, one.accuracy.share, *one.accuracy.interval) for labels, one in curve]
    by_round = status.control.by_round if status.control else {}
    slices = [
        Point(each.labelled, by_round[each.number].share, *by_round[each.number].interval)
        for each in status.rounds
        if each.number in by_round and each.labelled is not None
    ]
    series = {curve[-1].measured.kind: points, **({CONTROL_SLICE: slices} if slices else {})}
    return Chart(
        series, status.target, forecast and forecast.law, forecast.interval if forecast else None,
    )  # fmt: skip

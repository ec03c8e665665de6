"""The summary of a simulation's report: the best strategies, compared with the baseline."""

import math
from typing import NamedTuple

import pandas as pd

from dfal_cli.errors import plural
from dfal_cli.pages.advice import Compared
from dfal_cli.pages.report_tables import (
    difference_cell,
    needed_text,
    percent,
    ratio_ends,
    ratio_mark,
    ratio_mean,
    whole,
)
from dfal_cli.statistics import annotations, comparison
from dfal_cli.statistics.annotations import Needed, Reached
from dfal_cli.statistics.intervals import MIN_TRIALS_TO_RESAMPLE

BEST_SHOWN = 3
"""Number of strategies in the summary; the tables show all."""


class Line(NamedTuple):
    """A line of the summary about a strategy."""

    text: str
    mark: str
    """"better" or "worse" if the strategy differs clearly from the baseline, else ""."""
    compared: Compared


class Summary(NamedTuple):
    """The comparison of the other strategies with the baseline."""

    start: str
    best: list[Line]
    rest: list[str]
    """Sentences about all strategies."""
    compared: list[Compared]
    """All strategies but the baseline, the best over the whole range of labels first."""


def summary_of(results: pd.DataFrame, step: float) -> Summary:
    """Compare by annotations needed for the highest accuracy that the baseline always reached, or by final accuracy."""
    baseline = comparison.baseline_of(results)
    for level in reversed(annotations.levels_worth_showing(results)):
        reached = annotations.reached_at(results, level, step)
        if reached.at[baseline].notna().all():
            start, lines = _summary_of_needed(reached, level, baseline)
            break
    else:
        start, lines = _summary_of_end(results, baseline, step)
    rest = _rest(lines, baseline, results["trial"].nunique())
    areas = comparison.areas(results).mean()
    compared = sorted((line.compared for line in lines), key=lambda each: -areas[each.strategy])
    return Summary(start, lines[:BEST_SHOWN], rest, compared)


def _summary_of_needed(reached: Reached, level: float, baseline: str) -> tuple[str, list[Line]]:
    found = {name: annotations.needed(reached, name) for name in map(str, reached.at.columns)}
    lines = []
    for name in sorted(found.keys() - {baseline}, key=lambda name: (*_by_need(found[name]), name)):
        ratio = annotations.ratio(reached, name, baseline)
        bound = f"{ratio.bound} " if ratio.bound else ""
        times = "" if math.isnan(ratio.mean) else f", {bound}{ratio.mean:.2f} times as many{ratio_ends(ratio)}"
        gains = -annotations.log_ratios(reached, name, baseline)
        gain = f"it needs {ratio_mean(ratio)} of {baseline}'s labels"
        labels = f"{needed_text(found[name])} in place of {needed_text(found[baseline])}"
        evidence = f"for {percent(level)} accuracy: {labels}{ratio_ends(ratio)}"
        compared = Compared(name, gain, evidence, gains, ratio_mark(ratio))
        lines.append(Line(f"{name}: {_labels(found[name])}{times}", compared.mark, compared))
    needs = _labels(found[baseline])
    start = f"For {percent(level)} accuracy, {baseline} needed {needs} ({_trials(len(reached.at))})."
    return start, lines


def _by_need(needed: Needed) -> tuple[bool, float]:
    """Sort key: strategies that reached the level in all trials come first, as the other means are lower bounds."""
    return needed.reached < needed.trials, needed.mean


def _labels(needed: Needed) -> str:
    return f"{'more than ' if needed.reached < needed.trials else ''}{whole(needed.mean)} labels"


def _summary_of_end(results: pd.DataFrame, baseline: str, step: float) -> tuple[str, list[Line]]:
    last = results["annotations"].max()
    at_end = comparison.accuracies_at(results, last)
    lines = []
    for name in comparison.ranked_strategies(results):
        if name == baseline:
            continue
        cell = difference_cell(at_end, name, baseline, step)
        ends = "".join(f" ({detail})" for detail in cell.details)
        gains = (at_end[name] - at_end[baseline]).dropna().to_numpy("float64")
        gain = f"its accuracy is {cell.text} points from that of {baseline}"
        compared = Compared(name, gain, f"with {last:,} labels{ends}", gains, cell.mark)
        lines.append(Line(f"{name}: {percent(at_end[name].mean(), 2)}, {cell.text} points{ends}", cell.mark, compared))
    accuracy = percent(at_end[baseline].mean(), 2)
    return f"With {last:,} labels, {baseline} has {accuracy} accuracy ({_trials(len(at_end))}).", lines


def _rest(lines: list[Line], baseline: str, trials: int) -> list[str]:
    """Return sentences with the number of strategies not listed, and of those that differ clearly from the baseline."""
    others = len(lines) - BEST_SHOWN
    more = f"{others} more {plural(others, 'strategy', 'strategies')}"
    sentences = [f"The tables show {more}."] if others > 0 else []
    if not lines or trials < MIN_TRIALS_TO_RESAMPLE:
        return sentences
    better, worse = (sum(line.mark == mark for line in lines) for mark in ("better", "worse"))
    if not better + worse:
        none = f"No strategy differs clearly from {baseline}: all intervals (in brackets) include equality."
        return [*sentences, none]
    bold = f"Bold lines differ clearly from {baseline}: their interval (in brackets) excludes equality"
    return [*sentences, f"{bold}. {better} of {len(lines)} clearly better, {worse} clearly worse."]


def _trials(number: int) -> str:
    return f"mean of {number} trials" if number > 1 else "one trial"

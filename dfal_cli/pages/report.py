"""The report of a simulation: a self-contained HTML file that compares the strategies, with confidence intervals."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from dfal_cli import __version__
from dfal_cli.errors import plural
from dfal_cli.pages.advice import ENOUGH_TRIALS, Cost, advice
from dfal_cli.pages.curve_looks import pictures_of
from dfal_cli.pages.curves import curves_svg, shows_single_trials
from dfal_cli.pages.report_summary import summary_of
from dfal_cli.pages.report_tables import percent, report_tables
from dfal_cli.pages.template import write_page
from dfal_cli.pages.what_ran import explained
from dfal_cli.statistics import comparison
from dfal_cli.statistics.comparison import MeasuredOn
from dfal_cli.statistics.intervals import MIN_TRIALS_TO_RESAMPLE


def write_report(
    path: Path,
    results: pd.DataFrame,
    timings: pd.DataFrame,
    settings: Mapping[str, str],
    measured_on: MeasuredOn | None = None,
    what_to_try: str = "",
    jobs: int = 1,
) -> None:
    """Write the report; equal arguments give equal bytes.

    results, timings: columns of results.csv and timings.csv, converted to numbers. settings: name -> text.
    measured_on: the test images, if known. what_to_try: advice for the case that networks did not learn.
    jobs: number of parallel runs while the timings were measured.
    """
    trials = results["trial"].nunique()
    step = measured_on.step if measured_on else 0.0
    problem, summary = _problem(results, measured_on, what_to_try), summary_of(results, step)
    runs = trials * len(comparison.strategies_of(results))
    cost = Cost(trials, comparison.seconds_of_trial(timings), min(jobs, runs))
    pictures = pictures_of(curves_svg(results, measured_on))
    write_page(
        path, "report.html.jinja", "dfal simulate", version=__version__, facts=_facts(results),
        problem=problem, advice=None if problem else advice(summary.compared, comparison.baseline_of(results), cost),
        summary=summary, caution=_caution(trials), has_single_trials=shows_single_trials(results),
        chance=percent(measured_on.largest / measured_on.images) if measured_on else "",
        explained=explained(comparison.strategies_of(results)), has_intervals=trials > 1,
        can_be_clear=trials >= MIN_TRIALS_TO_RESAMPLE, grid=_grid(measured_on),
        pictures=pictures, tables=report_tables(results, timings, step), settings=settings,
    )  # fmt: skip


def _facts(results: pd.DataFrame) -> str:
    first, last = results["annotations"].min(), results["annotations"].max()
    span = f"from {first:,} to {last:,}" if first < last else f"of {last:,}"
    return (
        f"{_count(len(comparison.strategies_of(results)), 'strategy', 'strategies')}, "
        f"{_count(results['trial'].nunique(), 'trial', 'trials')}, "
        f"{_count(results['round'].nunique(), 'round', 'rounds')} {span} annotations"
    )


def _problem(results: pd.DataFrame, measured_on: MeasuredOn | None, what_to_try: str) -> str:
    """Return a sentence if networks did not learn, which makes the results meaningless; else ""."""
    who = who_did_not_learn(results, measured_on) if measured_on else ""
    return f"{who[0].upper()}{who[1:]}: {why_not_learnt(measured_on, what_to_try)}." if measured_on and who else ""


def who_did_not_learn(results: pd.DataFrame, measured_on: MeasuredOn) -> str:
    """Return the beginning of a sentence that names the strategies whose networks did not learn, or ""."""
    names = comparison.not_learnt(results, measured_on)
    if not names:
        return ""
    if len(names) == len(comparison.strategies_of(results)):
        return "none of these networks learnt"
    return f"the networks of {' and '.join(names)} did not learn"


def why_not_learnt(measured_on: MeasuredOn, what_to_try: str) -> str:
    """Return the end of that sentence: the evidence, and what to do."""
    share = percent(measured_on.largest / measured_on.images)
    return (
        f"their final accuracy on the {measured_on.images:,} test images is not better than always predicting the "
        f"largest class ({share}). Check the labels, then try {what_to_try} (--initial, --budget)"
    )


def _grid(measured_on: MeasuredOn | None) -> str:
    """Return a sentence on the resolution of accuracies."""
    if measured_on is None:
        return ""
    points = f"{100 * measured_on.step:.2g}"
    worth = f"{points} percentage {'point' if points == '1' else 'points'}"
    return (
        f"One of the {measured_on.images:,} test images is worth {worth}: an accuracy is known to "
        "within half of that at best, and a difference to within all of it. No interval is narrower."
    )


def _caution(trials: int) -> str:
    """Return a warning about the uncertainty of few trials."""
    if trials == 1:
        return "One trial gives no intervals: any difference may be due to chance."
    if trials < MIN_TRIALS_TO_RESAMPLE:
        return f"{trials} trials are too few for intervals of differences: any difference may be due to chance."
    if trials < ENOUGH_TRIALS:
        return f"The intervals of {trials} trials are wide, so only large differences are clear. Use more --trials."
    return ""


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {plural(number, one, many)}"

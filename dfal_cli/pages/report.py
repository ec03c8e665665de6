"""The report of a simulation: one self-contained HTML file that says which strategy was worth it, and how surely."""

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dfal_cli import __version__, comparison
from dfal_cli.files import settings_of
from dfal_cli.intervals import FEWEST_TO_RESAMPLE, most_it_can_hold
from dfal_cli.pages.curves import curves_svg
from dfal_cli.pages.report_tables import difference_cell, needed_cell, needed_text, percent, ratio_text, report_tables
from dfal_cli.pages.template import write_page

ENOUGH_TRIALS = 6
"""The range of fewer trials holds the truth in less than 95 % of the cases, and a bootstrap stays within it."""


def write_report(path: Path, results: pd.DataFrame, timings: pd.DataFrame, settings: Mapping[str, str]) -> None:
    """Write the page.

    results, timings: columns of results.csv and timings.csv, numbers as numbers. settings are shown as they are given.
    Equal arguments give equal bytes.
    """
    trials = results["trial"].nunique()
    picture = base64.b64encode(curves_svg(results)).decode()
    write_page(
        path, "report.html.jinja", version=__version__, facts=_facts(results), summary=_summary(results),
        caution=_caution(trials), can_be_clear=trials >= FEWEST_TO_RESAMPLE,
        picture=f"data:image/svg+xml;base64,{picture}", tables=report_tables(results, timings), settings=settings,
    )  # fmt: skip


def shown_settings(options: Any, without: Iterable[str] = ()) -> dict[str, str]:
    """The fields of an options dataclass, spelt as on the command line; those left to dfal (None) are left out."""
    return {
        name.replace("_", "-"): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in settings_of(options, without).items()
        if value is not None
    }


def _facts(results: pd.DataFrame) -> str:
    first, last = results["annotations"].min(), results["annotations"].max()
    return (
        f"{_count(len(comparison.strategies_of(results)), 'strategy', 'strategies')}, "
        f"{_count(results['trial'].nunique(), 'trial', 'trials')}, "
        f"{_count(results['round'].nunique(), 'round', 'rounds')} from {first:,} to {last:,} annotations"
    )


def _caution(trials: int) -> str:
    """What so few trials cannot tell."""
    if trials == 1:
        return "One trial: no interval can be given, and any difference may be chance."
    if trials < FEWEST_TO_RESAMPLE:
        return f"{trials} trials are too few for an interval of a difference: any difference may be chance."
    if trials < ENOUGH_TRIALS:
        return (
            f"With {trials} trials a bootstrap interval holds the truth in at most "
            f"{100 * most_it_can_hold(trials):.0f} of 100 cases, not in 95. What is called clear here is so by "
            "Student's t interval as well, which keeps to 95."
        )
    return ""


def _summary(results: pd.DataFrame) -> list[str]:
    """How the others did beside the baseline, claiming no more than the intervals do: a sentence, then what follows.

    By annotations needed for the highest accuracy that the baseline reached in every trial, or by accuracy at the end.
    """
    baseline = comparison.baseline_of(results)
    for level in reversed(comparison.levels_worth_showing(results)):
        per_trial = comparison.annotations_needed(results, level)
        if per_trial[baseline].notna().all():
            return _summary_of_needed(per_trial, comparison.annotations_spent(results), level, baseline)
    return _summary_of_end(results, baseline)


def _summary_of_needed(per_trial: pd.DataFrame, spent: pd.DataFrame, level: float, baseline: str) -> list[str]:
    found = {name: comparison.needed(per_trial, spent, name) for name in map(str, per_trial.columns)}
    told = {}
    for name in sorted(found.keys() - {baseline}, key=lambda name: (found[name].mean, name)):
        mark = needed_cell(per_trial, spent, name, baseline).mark
        times = ratio_text(comparison.ratio(per_trial, spent, name, baseline))
        told[name] = (mark, f"{name} {needed_text(found[name])}, {times}")
    trials = _count(len(per_trial), "trial", "trials")
    start = f"{percent(level)} accuracy took {baseline} {needed_text(found[baseline])} labels ({trials})"
    explained = f"; × is how many times what {baseline} took in the same trial." if told else "."
    return [start + explained, *_verdicts(told, "fewer", "more", baseline)]


def _summary_of_end(results: pd.DataFrame, baseline: str) -> list[str]:
    last = results["annotations"].max()
    at_end = comparison.accuracies_at(results, last)
    told = {}
    for name in comparison.ranked_strategies(results):
        cell = difference_cell(at_end, name, baseline)
        told[name] = (cell.mark, "".join((f"{name} {cell.text} points", *(f" ({detail})" for detail in cell.details))))
    told.pop(baseline)
    trials = _count(len(at_end), "trial", "trials")
    start = f"With {last:,} labels {baseline} has {percent(at_end[baseline].mean(), 2)} accuracy ({trials})."
    return [start, *_verdicts(told, "more", "less", baseline)]


def _verdicts(told: Mapping[str, tuple[str, str]], better: str, worse: str, baseline: str) -> list[str]:
    """Sentences, from each strategy's mark and the numbers in words."""
    groups = {f"Clearly {better}": "better", f"Clearly {worse}": "worse", f"Not told apart from {baseline}": ""}
    found = {title: [said for mark, said in told.values() if mark == wanted] for title, wanted in groups.items()}
    return [f"{title}: {'; '.join(said)}." for title, said in found.items() if said]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"

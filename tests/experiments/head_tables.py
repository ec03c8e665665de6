"""Tables of the experiments with heads on embeddings, after random and typical starts, for the experiments' README."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from dfal_cli.pages.report_tables import difference_cell
from dfal_cli.statistics import comparison
from dfal_cli.statistics.intervals import expanded_tail
from tests.experiments.tables import HERE, MARKS, Numbers, markdown, results_of, step_of, text_of

RESAMPLES = 2_000
"""Of the bootstrap over trials."""


def both_starts(experiment: str, batch: str = "") -> pd.DataFrame:
    """The results of both starts of an experiment of heads; the strategies after a typical start get its name."""
    starts = {start: results_of(f"{experiment}/{start}{batch}") for start in ("random", "typical")}
    typical = starts["typical"]["strategy"].map(after_typical)
    return pd.concat([starts["random"], starts["typical"].assign(strategy=typical)], ignore_index=True)


def after_typical(strategy: str) -> str:
    """The name of a strategy in `both_starts` after a typical start."""
    return f"typical start, {strategy}"


def on_heads(
    experiment: str, start: str, counts: Sequence[int], of_random: Sequence[int], batch: str = "",
    measure: str = "accuracy",
) -> str:  # fmt: skip
    """After a start: accuracies in percent, area over random, and labels as a share of random's.

    All is compared to random after a random start. counts: numbers of labels. of_random: numbers of labels of random.
    measure: the column of the results that is taken for the accuracy.
    """
    results = both_starts(experiment, batch)
    results = results.assign(accuracy=results[measure])
    step = step_of(results)
    areas = comparison.areas(results)
    at = [comparison.accuracies_at(results, count) for count in counts]
    is_random = start == "random"
    rows = []
    for name in comparison.ranked_strategies(results):
        if name.startswith(after_typical("")) == is_random:
            continue
        accuracies = [f"{100 * each[name].mean():.1f}" for each in at]
        if name == comparison.BASELINE:
            rows.append([name, *accuracies, "", *("" for _ in of_random)])
            continue
        area = text_of(difference_cell(areas, name, comparison.BASELINE, step))
        shares = [_share_cell(*share_of_labels(results, name, count)) for count in of_random]
        rows.append([name.removeprefix(after_typical("")), *accuracies, area, *shares])
    heads = [*(f"{count} labels" for count in counts), "area, points over random"]
    return markdown(["strategy", *heads, *(f"labels for random's accuracy with {count}" for count in of_random)], rows)


def share_of_labels(results: pd.DataFrame, strategy: str, count: int) -> tuple[float, float, float]:
    """Labels with which the mean curve reaches the mean accuracy of random with `count`, as a share of these.

    With the 95 % interval of the bootstrap over trials, by expanded percentiles as in reports; infinite where the
    accuracy is not reached. Mean curves are less noisy than those of trials: in some, random has a lucky accuracy that
    nothing else reaches.
    """
    own, other = (
        results[results["strategy"] == name].pivot(index="trial", columns="annotations", values="accuracy")
        for name in (strategy, comparison.BASELINE)
    )
    trials = np.random.default_rng(0).integers(len(own), size=(RESAMPLES, len(own)))
    trials[0] = np.arange(len(own))  # all trials, once each: the value itself
    curves, levels = own.to_numpy()[trials].mean(1), other[count].to_numpy()[trials].mean(1)
    shares = _first_reached(own.columns.to_numpy("float64"), curves, levels) / count
    tail = expanded_tail(len(own))
    low, high = np.quantile(shares[1:], (tail, 1 - tail), method="nearest")
    return float(shares[0]), float(low), float(high)


def _first_reached(counts: Numbers, curves: Numbers, levels: Numbers) -> Numbers:
    """Where curves, (n, rounds), first reach their levels, (n,), interpolated between rounds; infinite where never."""
    is_reached = curves >= levels[:, None]
    here = is_reached.argmax(1)
    before, every = (here - 1).clip(0), np.arange(len(curves))
    rise = curves[every, here] - curves[every, before]
    share = np.divide(levels - curves[every, before], rise, out=np.zeros(len(curves)), where=here > 0)
    return np.where(is_reached.any(1), counts[before] + share * (counts[here] - counts[before]), np.inf)


CLASSES = {"clothing10": 10, "trashnet": 6, "signs": 10, "shoebag": 2}


def photos_in_short(data_sets: Sequence[str], strategy: str = "coverage", other: str = "probability-gap") -> str:
    """What a typical start and a strategy give: a row for each data set of photographs."""
    rows = []
    for name in data_sets:
        results = both_starts(f"{name}_heads")
        step, classes = step_of(results), CLASSES[name]
        first = comparison.accuracies_at(results, 2 * classes)
        after = after_typical(strategy)
        areas = comparison.areas(results)
        rows.append([
            name,
            f"{100 * first[comparison.BASELINE].mean():.1f}",
            f"{100 * first[after].mean():.1f}",
            *(_share_cell(*share_of_labels(results, after, each * classes)) for each in (10, 30)),
            text_of(difference_cell(areas, after, comparison.BASELINE, step)),
            text_of(difference_cell(areas, after, after_typical(other), step)),
        ])  # fmt: skip
    heads = [
        "data set", "first list random, %", "first list typical, %", "labels for random's accuracy with 10 per class",
        "with 30 per class", "area, points over random", f"over {other} after a typical start",
    ]  # fmt: skip
    return markdown(heads, rows)


def start_and_queries(data_sets: Sequence[str], strategy: str = "coverage", other: str = "probability-gap") -> str:
    """Points of area that the start and the queries give apart from each other, and by how many labels there are."""
    rows = []
    for name in data_sets:
        results, classes = both_starts(f"{name}_heads"), CLASSES[name]
        after, random_after, other_after = (after_typical(each) for each in (strategy, comparison.BASELINE, other))
        step, areas = step_of(results), comparison.areas(results)
        pairs = ((random_after, comparison.BASELINE), (after, strategy), (after, random_after))
        stages = [
            comparison.areas(results[results["annotations"].between(first * classes, last * classes)])
            for first, last in ((2, 10), (10, 20), (20, 30))
        ]
        cells = [difference_cell(areas, *pair, step) for pair in pairs]
        cells += [difference_cell(stage, after, other_after, step) for stage in stages]
        rows.append([name, *map(text_of, cells)])
    heads = [
        "data set", "typical start, then random queries, over random", f"{strategy}: typical start over random start",
        f"typical start: {strategy} over random",
        *(f"{strategy} over {other}, {labels} labels per class" for labels in ("2 to 10", "10 to 20", "20 to 30")),
    ]  # fmt: skip
    return markdown(heads, rows)


def _share_cell(share: float, low: float, high: float) -> str:
    mark = MARKS["better" if high < 1 else "worse" if low > 1 else ""]
    if math.isinf(share):
        return f"{mark}not reached{mark}"
    ends = f"from {low:.2f}" if math.isinf(high) else f"{low:.2f} to {high:.2f}"
    return f"{mark}×{share:.2f} ({ends}){mark}"


def rare_classes(experiment: str, count: int) -> str:
    """Labels until every class has one, and the labels of the rarest class after `count` labels, for each start."""
    results = both_starts(experiment)
    complete = results[results["fewest_labels"] > 0].groupby(["strategy", "trial"])["annotations"].min().unstack(0)
    spent = results.groupby(["strategy", "trial"])["annotations"].max().unstack(0)
    rarest = results[results["annotations"] == count].groupby("strategy")["fewest_labels"].mean()

    def cells(name: str) -> list[str]:
        missing = int(complete[name].isna().sum())
        until = f"{complete[name].fillna(spent[name]).mean():.0f}"
        return [f"> {until} (not in {missing} trials)" if missing else until, f"{rarest[name]:.1f}"]

    strategies = [name for name in comparison.strategies_of(results) if not name.startswith(after_typical(""))]
    rows = sorted(
        ([name, *cells(name), *cells(after_typical(name))] for name in strategies), key=lambda row: -float(row[2])
    )
    heads = [
        f"{start} start, {what}"
        for start in ("random", "typical")
        for what in ("labels until every class has one", f"of the rarest class among {count}")
    ]
    return markdown(["strategy", *heads], rows)


def twins_by_distance(experiments: dict[str, str], strategies: Sequence[str]) -> str:
    """Points of area that training on twins gives: a row for each title of an experiment."""
    rows = []
    for title, experiment in experiments.items():
        results = results_of(experiment)
        areas = comparison.areas(results)
        cells = (difference_cell(areas, name, f"{name}-without-twins", step_of(results)) for name in strategies)
        rows.append([title, *map(text_of, cells)])
    return markdown(["twins at", *(f"{name}, points over it without twins" for name in strategies)], rows)


def uncertainty_of_lead(experiment: str, strategy: str, other: str) -> str:
    """The lead of a strategy in points of mean accuracy, with its standard errors by trials, test images and both.

    Trials and test images are crossed random effects. The means by trial and the means by image both contain the
    residual, the noise of one trial on one image; it is taken off the variance by images, or both would count it twice.
    """
    rows = []
    for name, part in pd.read_csv(HERE / experiment / "rounds_right.csv").groupby("data_set", sort=False):
        lead = _accuracies_by_image(part, strategy) - _accuracies_by_image(part, other)  # (trials, t)
        n, t = lead.shape
        by_trial, by_image = lead.mean(1, keepdims=True), lead.mean(0, keepdims=True)
        residuals = lead - by_trial - by_image + lead.mean()
        residual = (residuals**2).sum() / ((n - 1) * (t - 1)) / (n * t)
        trials, images = by_trial.var(ddof=1) / n, by_image.var(ddof=1) / t - residual
        errors = (math.sqrt(each) for each in (trials, images, trials + images))
        rows.append([str(name), f"{lead.mean():+.2f}", *(f"{error:.2f}" for error in errors)])
    errors_by = (f"standard error by {of}" for of in ("trials", "test images", "both"))
    return markdown(["data set", f"{strategy}, points over {other}", *errors_by], rows)


def _accuracies_by_image(part: pd.DataFrame, strategy: str) -> Numbers:
    """Percent of the rounds of a trial in which a test image is classified correctly, (trials, t)."""
    own = part[part["strategy"] == strategy]
    right = np.array([numbers.split() for numbers in own["rounds_right"]], "float64")
    return 100 * right / own["rounds"].to_numpy()[:, None]

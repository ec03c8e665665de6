"""Tables of the experiments on the control slice, the forecast and the stopping rules."""

import math

import numpy as np
import pandas as pd
from tables import HERE, TEST_IMAGES, markdown

from dfal_cli.statistics.intervals import wilson_interval
from dfal_cli.statistics.learning_curve import WIDENING
from dfal_cli.statistics.stopping import RULES, Accuracy, History

WITHIN = 0.01
"""The best point in hindsight is the first at most this far below the best accuracy."""


def control_slices() -> str:
    """In how many of 100 runs the interval holds the truth, and how wide it is, by number of control images."""
    table = pd.read_csv(HERE / "control_slice" / "slices.csv")
    table = table.assign(
        holds=_within(table, "truth", "low", "high"),
        mistakes=_within(table, "mistakes_at_random", "at_random_low", "at_random_high"),
        error=100 * (table["estimate"] - table["truth"]), width=100 * (table["high"] - table["low"]),
    )  # fmt: skip
    rows = []
    for (rounds, size), part in table.groupby(["rounds", "size"]):
        by_round = part.groupby("round")
        held, mistakes = (_range(100 * by_round[name].mean()) for name in ("holds", "mistakes"))
        which = "one round" if rounds == 1 else f"{rounds} rounds together"
        images = [f"{size * rounds}", f"{part['width'].mean():.0f}", f"{part['error'].mean():+.1f}"]
        rows.append([which, *images, held, mistakes])
    heads = ["slices", "control images", "width, points", "mean error, points", "accuracy held in", "mistakes held in"]
    return markdown(heads, rows)


def without_a_slice() -> str:
    """The accuracies that are known without a slice, beside the truth, by round."""
    table = pd.read_csv(HERE / "control_slice" / "slices.csv")
    means = table[table["rounds"] == 1].groupby("round")[["truth", "on_queries", "cross_validated"]].mean()
    rows = [[f"{40 * (int(number) + 1)}", *(f"{100 * value:.1f}" for value in row)] for number, row in means.iterrows()]
    return markdown(["labels", "on the pool", "on the strategy's queries", "by cross-validation"], rows)


def forecasts() -> str:
    """In what share of curves the interval holds the truth, by factor, and how often it has an upper end."""
    table = pd.read_csv(HERE / "forecast" / "forecasts.csv")
    table = table.assign(holds=_within(table, "truth", "low", "high"))
    rows = []
    for (experiment, times), part in table.groupby(["experiment", "times"], sort=False):
        held = [f"{10 * group['holds'].mean():.1f}" for _, group in part.groupby("factor")]
        ours = part[part["factor"] == WIDENING]
        bounded = ours[np.isfinite(ours["high"])]
        ratio = (bounded["high"] / bounded["low"]).median()
        ends = f"{100 * len(bounded) / len(ours):.0f} %"
        span = "" if math.isnan(ratio) else f"×{ratio:.1f}"
        rows.append([experiment, f"×{times:g}", str(len(ours)), *held, ends, span])
    factors = [f"held in 10, factor {factor:g}" for factor in sorted(table["factor"].unique())]
    return markdown(["experiment", "truth at", "curves", *factors, "with an upper end", "upper over lower end"], rows)


def stopping() -> str:
    """Labels spent and accuracy lost by each rule, against the best point in hindsight."""
    table = pd.read_csv(HERE / "stopping" / "rounds.csv")
    stops = pd.concat([_stops(str(name), trial) for (name, _), trial in table.groupby(["set", "trial"], sort=False)])
    rows = []
    for (name, rule), part in stops.groupby(["set", "rule"], sort=False):
        more, lost = (f"{part[column].mean():+.{digits}f}" for column, digits in (("more", 0), ("lost", 1)))
        rows.append([name, rule, f"{part['holds'].sum()} of {len(part)}", f"{part['labels'].mean():.0f}", more, lost])
    return markdown(["set", "rule", "held in", "labels", "labels over hindsight", "points lost"], rows)


def _stops(name: str, trial: pd.DataFrame) -> pd.DataFrame:
    """Where each rule stops a trial; at its end if the rule never holds."""
    trial = trial.reset_index(drop=True)
    smooth = trial["accuracy"].rolling(3, center=True, min_periods=1).mean()
    hindsight = int((smooth >= smooth.max() - WITHIN).to_numpy().argmax())
    found = []
    for rule in (*RULES, "stable,flat"):
        held = [place for place in range(1, len(trial)) if _holds(rule, trial[: place + 1], TEST_IMAGES[name])]
        stop = held[0] if held else len(trial) - 1
        more = trial["labels"][stop] - trial["labels"][hindsight]
        lost = 100 * (smooth.max() - smooth[stop])
        found.append((name, rule, bool(held), trial["labels"][stop], more, lost))
    return pd.DataFrame(found, columns=["set", "rule", "holds", "labels", "more", "lost"])


def _holds(rules: str, seen: pd.DataFrame, images: int) -> bool:
    accuracies = [Accuracy(share, wilson_interval(share, images), images) for share in seen["accuracy"]]
    margins = seen["median_margin"].tolist()[:-1]
    smallest = float(seen["smallest_margin"].iloc[-1])
    history = History(seen["kappa"].tolist()[1:], margins, smallest, accuracies, "test set")
    return all(RULES[rule].judge(history).holds for rule in rules.split(","))


def _within(table: pd.DataFrame, value: str, low: str, high: str) -> "pd.Series[bool]":
    return (table[low] <= table[value]) & (table[value] <= table[high])


def _range(values: "pd.Series[float]") -> str:
    low, high = round(values.min()), round(values.max())
    return f"{low}" if low == high else f"{low} to {high}"

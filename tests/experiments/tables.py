"""Tables of the experiments' README, from the results beside it (the README calls these functions through cog)."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfal_cli.pages.report_tables import Cell, difference_cell, needed_cell, percent
from dfal_cli.statistics import annotations, comparison
from dfal_cli.statistics.comparison import as_numbers
from dfal_cli.statistics.intervals import expanded_tail, student_interval

HERE = Path(__file__).parent

TEST_IMAGES = {
    "mnist": 10_000, "quickdraw4": 2_997, "shoebag": 2_073, "clothing10": 372, "trashnet": 503, "signs": 409,
}  # fmt: skip
"""Of each data set; an experiment's name begins with that of its own."""

Numbers = npt.NDArray[np.float64]

RESAMPLES = 2_000
"""Of the bootstrap over trials."""

MARKS = {"": "", "better": "**", "worse": "*"}
"""Bold is what is clearly better than the baseline, italic what is clearly worse."""


def results_of(experiment: str) -> pd.DataFrame:
    """results.csv with its numbers as numbers, and the step of the grid on which its accuracies lie."""
    results = as_numbers(pd.read_csv(HERE / experiment / "results.csv", dtype=str, keep_default_na=False))
    return results.assign(step=1 / TEST_IMAGES[experiment.partition("_")[0]])


def variants_of(strategy: str, experiments: dict[str, str]) -> pd.DataFrame:
    """The results of one strategy in several experiments, told apart by titles in the place of its name.

    Only trials that all of them have; these begin alike. The first title is the baseline.
    """
    tables = [results_of(experiment).assign(title=title) for title, experiment in experiments.items()]
    table = pd.concat([each[each["strategy"] == strategy] for each in tables], ignore_index=True)
    common = set.intersection(*(set(trials) for _, trials in table.groupby("title")["trial"]))
    return table[table["trial"].isin(common)].assign(strategy=table["title"]).drop(columns="title")


def accuracies(results: pd.DataFrame, counts: Sequence[int]) -> str:
    """Mean test accuracy after so many labels, the 95 % interval of the last, and the area under the curve."""
    areas = comparison.areas(results)
    baseline = comparison.baseline_of(results)
    at = [comparison.accuracies_at(results, count) for count in counts]
    rows = []
    for name in comparison.ranked_strategies(results):
        low, high = comparison.accuracy_interval(at[-1][name].dropna().to_numpy(), _step(results))
        last = f"{at[-1][name].mean():.3f}" + ("" if pd.isna(low) else f" ({low:.3f} to {high:.3f})")
        means = [f"{each[name].mean():.3f}" for each in at[:-1]]
        difference = "" if name == baseline else _text(difference_cell(areas, name, baseline, _step(results)))
        rows.append([name, *means, last, f"{areas[name].mean():.4f}", difference])
    heads = [f"{count:,} labels" for count in counts]
    return markdown(["strategy", *heads, "area", f"area, points over {baseline}"], rows)


def needed(results: pd.DataFrame, levels: Sequence[float]) -> str:
    """Labels needed for an accuracy, and the ratio to the baseline's."""
    baseline = comparison.baseline_of(results)
    reached = [annotations.reached_at(results, level, _step(results)) for level in levels]
    rows = [
        [name, *(_text(needed_cell(each, name, baseline)) for each in reached)]
        for name in comparison.ranked_strategies(results)
    ]
    return markdown(["strategy", *map(percent, levels)], rows)


def needed_in_short(levels: dict[str, tuple[str, float]]) -> str:
    """Labels needed, means only: a column for each title, of an experiment and an accuracy."""
    columns: dict[str, dict[str, str]] = {}
    for title, (experiment, level) in levels.items():
        results = results_of(experiment)
        reached = annotations.reached_at(results, level, _step(results))
        baseline = comparison.baseline_of(results)
        cells = {name: needed_cell(reached, name, baseline) for name in reached.at}
        columns[title] = {name: _marked(cell.text, cell) for name, cell in cells.items()}
    names = comparison.ranked_strategies(results_of(next(iter(levels.values()))[0]))
    return markdown(["strategy", *columns], [[name, *(cells[name] for cells in columns.values())] for name in names])


def fewer(experiments: Iterable[str], strategy: str, other: str, levels: Sequence[float]) -> str:
    """What one strategy needs as a multiple of another's, and by how much its area is larger."""
    rows = []
    for experiment in experiments:
        results = results_of(experiment)
        step = _step(results)
        cells = [needed_cell(annotations.reached_at(results, each, step), strategy, other) for each in levels]
        area = difference_cell(comparison.areas(results), strategy, other, step)
        rows.append([experiment, *map(_text, cells), _text(area)])
    return markdown(["experiment", *map(percent, levels), "area, points"], rows)


def points_over(baseline: str, strategies: Sequence[str], experiments: Sequence[str], count: int) -> str:
    """Points of accuracy after so many labels over the baseline's: a column for each experiment.

    A cell is empty where an experiment has not played the strategy.
    """
    at = [(comparison.accuracies_at(results, count), _step(results)) for results in map(results_of, experiments)]
    rows = [
        [name, *(_text(difference_cell(each, name, baseline, step)) if name in each else "" for each, step in at)]
        for name in strategies
    ]
    return markdown(["strategy", *experiments], rows)


def points_over_variant(variants: dict[str, str], strategies: Sequence[str], counts: Sequence[int]) -> str:
    """Points of accuracy after so many labels of the second of two experiments over the first: a row a strategy."""
    first, second = variants
    rows = []
    for name in strategies:
        results = variants_of(name, variants)
        at = [comparison.accuracies_at(results, count) for count in counts]
        cells = [difference_cell(each, second, first, _step(results)) for each in at]
        rows.append([name, *map(_text, cells)])
    return markdown(["strategy", *(f"{count:,} labels" for count in counts)], rows)


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
    step = _step(results)
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
        area = _text(difference_cell(areas, name, comparison.BASELINE, step))
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
        step, classes = _step(results), CLASSES[name]
        first = comparison.accuracies_at(results, 2 * classes)
        after = after_typical(strategy)
        areas = comparison.areas(results)
        rows.append([
            name,
            f"{100 * first[comparison.BASELINE].mean():.1f}",
            f"{100 * first[after].mean():.1f}",
            *(_share_cell(*share_of_labels(results, after, each * classes)) for each in (10, 30)),
            _text(difference_cell(areas, after, comparison.BASELINE, step)),
            _text(difference_cell(areas, after, after_typical(other), step)),
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
        step, areas = _step(results), comparison.areas(results)
        pairs = ((random_after, comparison.BASELINE), (after, strategy), (after, random_after))
        stages = [
            comparison.areas(results[results["annotations"].between(first * classes, last * classes)])
            for first, last in ((2, 10), (10, 20), (20, 30))
        ]
        cells = [difference_cell(areas, *pair, step) for pair in pairs]
        cells += [difference_cell(stage, after, other_after, step) for stage in stages]
        rows.append([name, *map(_text, cells)])
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


def query_seconds(experiments: dict[str, str]) -> str:
    """Mean seconds of a query round, a column for each experiment."""
    columns = {}
    for title, experiment in experiments.items():
        timings = as_numbers(pd.read_csv(HERE / experiment / "timings.csv", dtype=str, keep_default_na=False))
        columns[title] = comparison.mean_seconds(timings)["query"]
    table = pd.DataFrame(columns)
    rows = [[str(name), *(f"{value:.1f}" for value in values)] for name, values in zip(table.index, table.to_numpy())]  # noqa: B905
    return markdown(["strategy", *columns], rows)


def patience_read_off(experiment: str, ways: dict[str, tuple[str, int]]) -> str:
    """Mean test accuracy of a training by setting, and how many trainings; a column for each monitor and patience."""
    epochs = pd.read_csv(HERE / experiment / "epochs.csv")
    rows = []
    for (labels, side, augment, split), trainings in epochs.groupby(["labels", "side", "augment", "split"], sort=False):
        kept = [
            [_kept(training, *way) for _, training in trainings.groupby("trial")] if split != "none" else []
            for way in ways.values()
        ]
        last = trainings.dropna().groupby("trial")["test_accuracy"].last()
        shares = [f"{sum(each) / len(each):.3f}" if each else "" for each in [*kept, list(last)]]
        rows.append(
            [str(labels), f"{side} pixels", str(augment), str(split), *shares, str(trainings["trial"].nunique())]
        )
    return markdown(["labels", "input", "augmentation", "validation split", *ways, "last epoch", "trials"], rows)


def _kept(training: pd.DataFrame, monitor: str, patience: int) -> float:
    """Test accuracy of the epoch that such a training keeps, the last measured one of those that tie."""
    merits = -training["loss"] if monitor == "loss" else training["accuracy"]
    best, since, kept = -float("inf"), 0, float("nan")
    for merit, tested in zip(merits, training["test_accuracy"], strict=True):
        since = 0 if merit > best else since + 1
        if merit >= best:
            best, kept = merit, kept if pd.isna(tested) else tested
        if since >= patience:
            break
    return kept


def fine_tuned_beside_head(experiment: str) -> str:
    """Mean test accuracy and loss of both ways, and how many points fine-tuning gains in each trial."""
    table = pd.read_csv(HERE / experiment / "accuracies.csv")
    rows = []
    for (chosen, labels), part in table.groupby(["chosen", "labels"], sort=False):
        head, tuned = (part[part["way"] == way].set_index("trial") for way in ("head", "fine-tuned"))
        means = [f"{each[name].mean():.3f}" for name in ("accuracy", "loss") for each in (head, tuned)]
        gains = 100 * (tuned["accuracy"] - head["accuracy"])
        seconds = [f"{each['seconds'].mean():.0f}" for each in (head, tuned)]
        rows.append([f"{labels} {chosen}", *means, ", ".join(f"{gain:+.1f}" for gain in gains), *seconds])
    heads = [f"{name}, {way}" for name in ("accuracy", "loss") for way in ("head", "fine-tuned")]
    return markdown(["labels", *heads, "points gained, by trial", "seconds, head", "seconds, fine-tuned"], rows)


def wrong_labels(experiment: str) -> str:
    """The share of flipped labels that each method finds, and of those it lists that are flipped, with intervals."""
    found = pd.read_csv(HERE / experiment / "found.csv")
    shares = pd.DataFrame(
        {
            "at": found["found_at_flipped"] / found["flipped"],
            "precision": found["found"] / found["listed"],
            "recall": found["found"] / found["flipped"],
        }
    ).join(found[["data", "method", "trial", "listed"]])
    rows = [
        [data, method, *(_mean_share(group[name].to_numpy()) for name in ("at", "precision", "recall")),
         f"{group['listed'].mean():.0f}", str(len(group))]
        for (data, method), group in shares.groupby(["data", "method"], sort=False)
    ]  # fmt: skip
    heads = ("data", "method", "precision and recall at the number flipped", "precision of the list",
             "recall of the list", "listed", "trials")  # fmt: skip
    return markdown(heads, rows)


def _mean_share(shares: Numbers) -> str:
    low, high = student_interval(shares)
    return f"{100 * shares.mean():.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _step(results: pd.DataFrame) -> float:
    return float(results["step"].iloc[0])


def _text(cell: Cell) -> str:
    return _marked("; ".join((cell.text, *cell.details)).replace("\xa0", " "), cell)


def _marked(text: str, cell: Cell) -> str:
    mark = MARKS[cell.mark]
    return f"{mark}{text}{mark}"

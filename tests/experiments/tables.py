"""Tables of the experiments' README, from the results beside it (the README calls these functions through cog)."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfal_cli.pages.report_tables import Cell, difference_cell, needed_cell, percent
from dfal_cli.statistics import annotations, comparison
from dfal_cli.statistics.comparison import as_numbers
from dfal_cli.statistics.intervals import student_interval

HERE = Path(__file__).parent

TEST_IMAGES = {
    "mnist": 10_000, "quickdraw4": 2_997, "shoebag": 2_073, "clothing10": 372, "trashnet": 503, "signs": 409,
}  # fmt: skip
"""Of each data set; an experiment's name begins with that of its own."""

Numbers = npt.NDArray[np.float64]

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
        low, high = comparison.accuracy_interval(at[-1][name].dropna().to_numpy(), step_of(results))
        last = f"{at[-1][name].mean():.3f}" + ("" if pd.isna(low) else f" ({low:.3f} to {high:.3f})")
        means = [f"{each[name].mean():.3f}" for each in at[:-1]]
        difference = "" if name == baseline else text_of(difference_cell(areas, name, baseline, step_of(results)))
        rows.append([name, *means, last, f"{areas[name].mean():.4f}", difference])
    heads = [f"{count:,} labels" for count in counts]
    return markdown(["strategy", *heads, "area", f"area, points over {baseline}"], rows)


def needed(results: pd.DataFrame, levels: Sequence[float]) -> str:
    """Labels needed for an accuracy, and the ratio to the baseline's."""
    baseline = comparison.baseline_of(results)
    reached = [annotations.reached_at(results, level, step_of(results)) for level in levels]
    rows = [
        [name, *(text_of(needed_cell(each, name, baseline)) for each in reached)]
        for name in comparison.ranked_strategies(results)
    ]
    return markdown(["strategy", *map(percent, levels)], rows)


def needed_in_short(levels: dict[str, tuple[str, float]]) -> str:
    """Labels needed, means only: a column for each title, of an experiment and an accuracy."""
    columns: dict[str, dict[str, str]] = {}
    for title, (experiment, level) in levels.items():
        results = results_of(experiment)
        reached = annotations.reached_at(results, level, step_of(results))
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
        step = step_of(results)
        cells = [needed_cell(annotations.reached_at(results, each, step), strategy, other) for each in levels]
        area = difference_cell(comparison.areas(results), strategy, other, step)
        rows.append([experiment, *map(text_of, cells), text_of(area)])
    return markdown(["experiment", *map(percent, levels), "area, points"], rows)


def points_over(baseline: str, strategies: Sequence[str], experiments: Sequence[str], count: int) -> str:
    """Points of accuracy after so many labels over the baseline's: a column for each experiment.

    A cell is empty where an experiment has not played the strategy.
    """
    at = [(comparison.accuracies_at(results, count), step_of(results)) for results in map(results_of, experiments)]
    rows = [
        [name, *(text_of(difference_cell(each, name, baseline, step)) if name in each else "" for each, step in at)]
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
        cells = [difference_cell(each, second, first, step_of(results)) for each in at]
        rows.append([name, *map(text_of, cells)])
    return markdown(["strategy", *(f"{count:,} labels" for count in counts)], rows)


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


def step_of(results: pd.DataFrame) -> float:
    return float(results["step"].iloc[0])


def text_of(cell: Cell) -> str:
    return _marked("; ".join((cell.text, *cell.details)).replace("\xa0", " "), cell)


def _marked(text: str, cell: Cell) -> str:
    mark = MARKS[cell.mark]
    return f"{mark}{text}{mark}"

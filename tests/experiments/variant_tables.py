"""The table of the variants of `coverage`, for the experiments' README."""

import pandas as pd
from tables import HERE, markdown

from dfal_cli.statistics.comparison import difference


def variants_over(experiment: str, baseline: str) -> str:
    """Points of mean accuracy over the baseline's, paired by trial, with the interval: a row for each variant."""
    table = pd.read_csv(HERE / experiment / "accuracies.csv")
    by_set = dict(tuple(table.groupby("data_set", sort=False)))
    rows = [
        [variant, *(_points(each, variant, baseline) for each in by_set.values())]
        for variant in dict.fromkeys(table["variant"])
        if variant != baseline
    ]
    return markdown(["variant", *(f"{name}, points over {baseline}" for name in by_set)], rows)


def _points(table: pd.DataFrame, variant: str, baseline: str) -> str:
    found = difference(table.pivot(index="trial", columns="variant", values="accuracy"), variant, baseline)
    mark = "" if not found.clear else "**" if found.mean > 0 else "*"
    return f"{mark}{100 * found.mean:+.2f}; {100 * found.low:+.2f} to {100 * found.high:+.2f}{mark}"

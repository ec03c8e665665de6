"""Learning curves: test accuracy over the number of annotations."""

from pathlib import Path

import pandas as pd

from dfal_cli.files import atomic_output

SIZE_INCHES = (8, 5)


def write_curves(path: Path, results: pd.DataFrame) -> None:
    """Draw the raw mean over trials for each strategy, with the range of the trials behind it, as a PNG.

    results: columns strategy, trial, annotations, accuracy as of results.csv. No running maximum is taken.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    for strategy, rows in results.groupby("strategy", sort=False):
        by_size = rows.groupby("annotations")["accuracy"]
        mean = by_size.mean()
        (line,) = axes.plot(mean.index, mean, marker="o", markersize=4, label=str(strategy))
        axes.fill_between(mean.index, by_size.min(), by_size.max(), color=line.get_color(), alpha=0.15, linewidth=0)
    trials = results["trial"].nunique()
    axes.set(
        xlabel="annotations", ylabel="test accuracy",
        title=f"mean of {trials} trials, shaded from worst to best" if trials > 1 else "one trial",
    )  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
    with atomic_output(path) as temporary:
        FigureCanvasAgg(figure)
        figure.savefig(temporary, format="png", metadata={"Software": None})

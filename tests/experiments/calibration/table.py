"""The table of docs/predict.md, from calibration.csv."""

from pathlib import Path

import pandas as pd

from tests.experiments.tables import markdown

RESULTS = Path(__file__).with_name("calibration.csv")


def calibration_table() -> str:
    """Means over the trials of each setting, and in how many of them the loss fell."""
    results = pd.read_csv(RESULTS)
    rows = []
    for (data, labels, chosen), trials in results.groupby(["data", "labels", "chosen"], sort=False):
        mean = trials.mean(numeric_only=True)
        fell = int((trials["loss_after"] < trials["loss_before"]).sum())
        rows.append(
            [
                data, f"{labels} {chosen}", f"{mean['accuracy']:.1%}",
                f"{mean['temperature']:.2f} ({mean['best_temperature']:.2f})",
                f"{mean['loss_before']:.3f} → {mean['loss_after']:.3f}", f"{fell} of {len(trials)}",
                f"{mean['error_before']:.1%} → {mean['error_after']:.1%}",
            ]
        )  # fmt: skip
    heads = [
        "data", "labels", "accuracy", "temperature (the best on the test set)", "loss", "loss fell in",
        "calibration error",
    ]  # fmt: skip
    return markdown(heads, rows)

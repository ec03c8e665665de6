"""Predictions of the images, to sort them by: predictions.csv or .parquet, or a scores file."""

from pathlib import Path
from typing import NamedTuple

from dfal_cli.schemas import CONFIDENCE, IMAGE, PREDICTED
from dfal_cli.system.paths import must_exist
from dfal_cli.tables.csv_files import read_csv
from dfal_cli.tables.parquet import read_parquet


class Guess(NamedTuple):
    """What the network takes an image for."""

    predicted: str
    confidence: float
    """0 if it is not known."""


def read_guesses(path: Path) -> dict[str, Guess]:
    """Return image -> its prediction. Raises UsageError or DataError if the file has no columns image and predicted."""
    must_exist(path, "--predictions")
    if path.suffix.lower() == ".parquet":
        table = read_parquet(path, {IMAGE: "string", PREDICTED: "string", CONFIDENCE: "float32"}).to_pydict()
    else:
        table = read_csv(path, required=(IMAGE, PREDICTED)).to_dict("list")
    confidences = table.get(CONFIDENCE) or [0.0] * len(table[IMAGE])
    rows = zip(table[IMAGE], table[PREDICTED], confidences, strict=True)
    return {image: Guess(predicted, number(confidence)) for image, predicted, confidence in rows if predicted}


def number(cell: object) -> float:
    """Return a number between 0 and 1, or 0 for anything else."""
    try:
        found = float(str(cell))
    except ValueError:
        return 0.0
    return found if 0 <= found <= 1 else 0.0

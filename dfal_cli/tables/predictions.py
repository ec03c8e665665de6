"""predictions.csv, .parquet: the predicted class of each image, with its confidence."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dfal_cli.schemas import CONFIDENCE, IMAGE, LOOK, PREDICTED, PREDICTIONS_COLUMNS, PROBABILITY_PREFIX
from dfal_cli.tables.guesses import read_guesses
from dfal_cli.tables.streamed import read_metadata, rows_match
from dfal_cli.tables.vectors import Values, as_arrow

COMMAND = "dfal predict"


def predictions_table(
    images: Sequence[str],
    predicted: pa.Array,
    confidence: Values,
    look: npt.NDArray[np.bool_] | None = None,
    probabilities: Values | None = None,
    classes: Sequence[str] = (),
) -> pa.Table:
    """Return rows of a predictions file.

    predicted: class names, null where unknown. confidence: (n,), nan where unknown. look: (n,), None = no such column.
    probabilities: (n, K) of the K classes, None = no such columns.
    """
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in PREDICTIONS_COLUMNS.items()])
    columns = {IMAGE: images, PREDICTED: predicted, CONFIDENCE: as_arrow(confidence)}
    table = pa.table(columns, schema=schema)
    if look is not None:
        table = table.append_column(LOOK, pa.array(look))
    if probabilities is not None:
        for name, values in zip(classes, probabilities.T, strict=True):
            table = table.append_column(f"{PROBABILITY_PREFIX}{name}", as_arrow(values))
    return table


def read_predictions_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata of a predictions file. Raises DataError if it is not one."""
    metadata = read_metadata(path, COMMAND)
    return metadata if metadata.get("command") == COMMAND else {}


def predictions_are_whole(path: Path) -> bool:
    """Return whether a predictions file and its metadata are from the same run."""
    return rows_match(path, read_predictions_metadata(path))


def read_predicted(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the images of a predictions file that have a prediction, with it."""
    yield from ((image, guess.predicted) for image, guess in read_guesses(path).items())

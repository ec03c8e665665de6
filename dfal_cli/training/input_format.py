"""What a network's input is to be: as the options say, or as the labelled images are."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.images import NO_MAX_VALUES, ImageError, ImageSource, InputFormat, Probe, common_shape, common_white
from dfal_cli.schemas import IMAGE
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.examples import DECODED_AT_ONCE, unreadable_row

ONE_PIXEL = InputFormat((1, 1, 1))
"""Of images of which only the largest value is wanted: a cache that keeps it keeps next to nothing else."""


class InputOptions(NamedTuple):
    """What the options say of the input; None of what is to be as the images are."""

    image_size: int | None
    grey: bool | None
    white: float | None


def probe_images(images: ImageSource, table: pd.DataFrame, reporter: Reporter) -> dict[str, Probe]:
    """What the headers of the images tell. Raises DataError if one cannot be read."""
    with reporter.progress("looking at", len(table), "images") as progress:
        return {row[IMAGE]: _probe(images, row) for row in progress.over(table.to_dict("records"))}


def choose_input_format(
    images: ImageSource, probes: Mapping[str, Probe], told: InputOptions, workers: int | None, reporter: Reporter
) -> InputFormat:
    """How images become the network's input: as told, or as the labelled images are."""
    shape = common_shape(probes.values(), told.image_size, told.grey, reporter.warn)
    wide = [image for image, probe in probes.items() if probe.wide]
    if told.white is not None or not wide:
        return InputFormat(shape, told.white)
    with reporter.progress("finding white", len(wide), "images") as progress:
        largest = [NO_MAX_VALUES]
        for batch in images.batches(wide, ONE_PIXEL, DECODED_AT_ONCE, workers):
            largest.append(batch.largest)
            progress.advance(len(batch.images) + len(batch.unreadable))
    return InputFormat(shape, common_white(np.concatenate(largest)))


def _probe(images: ImageSource, row: dict[Any, str]) -> Probe:
    try:
        return images.probe(row[IMAGE])
    except ImageError as error:
        raise unreadable_row(images, row, str(error)) from None

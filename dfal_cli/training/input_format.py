"""The input of a network: its shape and its white, from the options or from the labelled images."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.images import (
    NO_MAX_VALUES,
    ImageError,
    ImageSource,
    InputFormat,
    Probe,
    common_shape,
    common_white,
    in_batches,
)
from dfal_cli.images.pool import image_names
from dfal_cli.schemas import IMAGE
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.threads import answers
from dfal_cli.training.examples import DECODED_AT_ONCE
from dfal_cli.training.labelled_rows import unusable_row

ONE_PIXEL = InputFormat((1, 1, 1))
"""Format for images whose maximum value alone is needed; the cache then stores one pixel per image."""


class InputOptions(NamedTuple):
    """Options of the input format; None: choose by the labelled images."""

    image_size: int | None
    grey: bool | None
    white: float | None


def probe_images(images: ImageSource, table: pd.DataFrame, reporter: Reporter) -> dict[str, Probe]:
    """Read the headers of the images in a labels table. Raises DataError if one cannot be read."""
    rows = table.to_dict("records")
    with reporter.progress("reading headers", len(table), "images") as progress:
        probes = progress.over(answers(functools.partial(_probe, images), rows))
        return {row[IMAGE]: probe for row, probe in zip(rows, probes, strict=True)}


def choose_input_format(
    images: ImageSource, probes: Mapping[str, Probe], options: InputOptions, workers: int | None, reporter: Reporter
) -> InputFormat:
    """Return the input format that the options give, completed by the labelled images.

    Images of more than 8 bits are decoded to find the white, unless --white gives it.
    """
    shape = common_shape(probes.values(), options.image_size, options.grey, reporter.warn)
    over_8_bits = [image for image, probe in probes.items() if probe.over_8_bits]
    if options.white is not None or not over_8_bits:
        return InputFormat(shape, options.white)
    with reporter.progress("finding the white value", len(over_8_bits), "images") as progress:
        max_values = [NO_MAX_VALUES]
        for batch in images.batches(in_batches(over_8_bits, DECODED_AT_ONCE), ONE_PIXEL, workers):
            max_values.append(batch.max_values)
            progress.advance(len(batch.images) + len(batch.unreadable))
    return InputFormat(shape, common_white(np.concatenate(max_values)))


def _probe(images: ImageSource, row: dict[Any, str]) -> Probe:
    try:
        return images.probe(row[IMAGE])
    except ImageError as error:
        raise unusable_row(image_names(images), row, str(error)) from None

"""Going through images batch by batch, from the parts of an unfinished call where there are any."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from dfal_cli.images import NO_MAX_VALUES, MaxValues, flat_in_words, scale_warnings
from dfal_cli.scoring.rows import Block, Indices
from dfal_cli.system.part_files import Arrays, read_part
from dfal_cli.system.parts import Section
from dfal_cli.system.progress import Progress
from dfal_cli.system.reporting import Reporter

# Names of the arrays of a part that every reading has.
UNREADABLE, REASONS, LARGEST, FLAT = "unreadable", "reasons", "largest", "flat"


class Reading:
    """What the reading of images has told of them so far."""

    def __init__(self, images: Sequence[str]) -> None:
        self._images = images
        self._missing: list[int] = []
        self._max_values: list[MaxValues] = [NO_MAX_VALUES]
        self.unreadable: list[tuple[str, str]] = []
        """Path and reason of each unreadable image."""
        self.flat = 0
        """Number of images that are a single flat colour."""

    @property
    def max_values(self) -> MaxValues:
        """The largest values of the images of more than 8 bits."""
        return np.concatenate(self._max_values)

    @property
    def images(self) -> Sequence[str]:
        """The readable images."""
        return self._images if not self._missing else [self._images[row] for row in self._readable().tolist()]

    def of_readable(self, rows: Block) -> Block:
        """Return those of the rows, one for each image, whose images are readable."""
        return rows[self._readable()] if self._missing else rows

    def take(self, start: int, end: int, found: Arrays) -> Indices:
        """Take the arrays of the images from `start` up to `end`; return the places of the readable ones."""
        missing, reasons = found[UNREADABLE].tolist(), found[REASONS].tolist()
        self._missing += missing
        self.unreadable += zip((self._images[index] for index in missing), reasons, strict=True)
        self._max_values.append(found[LARGEST])
        self.flat += int(found[FLAT].sum())
        return np.delete(np.arange(start, end), found[UNREADABLE] - start)

    def _readable(self) -> Indices:
        return np.delete(np.arange(len(self._images)), self._missing)


def reading_arrays(
    images: Sequence[str], start: int, requested: int, unreadable: Sequence[tuple[str, str]], max_values: MaxValues,
    flat: npt.NDArray[np.bool_],
) -> Arrays:  # fmt: skip
    """Return the arrays of a part about `requested` images, the first of which has index `start`."""
    reasons = dict(unreadable)
    indices = [index for index in range(start, start + requested) if images[index] in reasons] if reasons else []
    return {
        UNREADABLE: np.array(indices, np.int64),
        REASONS: np.array([reasons[images[index]] for index in indices], np.str_),
        LARGEST: max_values,
        FLAT: flat,
    }


def go_through(
    total: int,
    section: Section,
    compute: Callable[[int, int], Iterator[tuple[int, Arrays]]],
    take: Callable[[int, int, Arrays], object],
    progress: Progress,
) -> None:
    """Let `take` have the arrays of all images in order: from parts, else computed and added to the section.

    compute: (start, end) -> the number of images and the arrays of each batch. take: (start, end, arrays).
    A resumed run uses the same batch boundaries as an uninterrupted one.
    """
    at = 0
    while at < total:
        end, part = section.next_range(at, total)
        if part is not None:
            take(at, end, read_part(part))
            at = end
            continue
        for requested, found in compute(at, end):
            take(at, at + requested, found)
            section.add(at, at + requested, found)
            at += requested
            progress.advance(requested)


def warn_of_pixels(max_values: MaxValues, white: float | None, flat: int, count: int, reporter: Reporter) -> None:
    """Warn of images whose values exceed the white of the training, and of images that are a single flat colour."""
    for warning in scale_warnings(max_values, white):
        reporter.warn(warning)
    if flat:
        reporter.warn(flat_in_words(flat, count))

"""Going through images batch by batch, from the parts of an unfinished call where there are any."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from dfal_cli.images import NO_MAX_VALUES, MaxValues, flat_in_words, scale_warnings
from dfal_cli.scoring.rows import Block, Indices
from dfal_cli.system.crew import Task, tasks_of
from dfal_cli.system.part_files import Arrays, read_part
from dfal_cli.system.parts import Section
from dfal_cli.system.progress import Progress
from dfal_cli.system.reporting import Reporter

# Names of the arrays of a part that every reading has.
UNREADABLE, REASONS, LARGEST, FLAT = "unreadable", "reasons", "largest", "flat"

Compute = Callable[[Iterable[Task]], Iterator[tuple[Task, Arrays]]]


class Reading:
    """What the reading of images has told of them so far."""

    def __init__(self, images: Sequence[str]) -> None:
        self._images = images
        self._reasons: dict[int, str] = {}
        """Place of each unreadable image -> the reason."""
        self._max_values: list[MaxValues] = [NO_MAX_VALUES]
        self.flat = 0
        """Number of images that are a single flat colour."""

    @property
    def unreadable(self) -> list[tuple[str, str]]:
        """Path and reason of each unreadable image."""
        return [(self._images[place], reason) for place, reason in sorted(self._reasons.items())]

    @property
    def max_values(self) -> MaxValues:
        """The largest values of the images of more than 8 bits, in any order."""
        return np.concatenate(self._max_values)

    @property
    def images(self) -> Sequence[str]:
        """The readable images."""
        return self._images if not self._reasons else [self._images[row] for row in self._readable().tolist()]

    def of_readable(self, rows: Block) -> Block:
        """Return those of the rows, one for each image, whose images are readable."""
        return rows[self._readable()] if self._reasons else rows

    def take(self, start: int, end: int, found: Arrays) -> Indices:
        """Take the arrays of the images from `start` up to `end`; return the places of the readable ones."""
        self._reasons |= dict(zip(found[UNREADABLE].tolist(), found[REASONS].tolist(), strict=True))
        self._max_values.append(found[LARGEST])
        self.flat += int(found[FLAT].sum())
        return np.delete(np.arange(start, end), found[UNREADABLE] - start)

    def _readable(self) -> Indices:
        return np.delete(np.arange(len(self._images)), list(self._reasons))


def reading_arrays(
    task: Task, unreadable: Sequence[tuple[str, str]], max_values: MaxValues, flat: npt.NDArray[np.bool_]
) -> Arrays:
    """Return the arrays of a part about the images of a task."""
    reasons = dict(unreadable)
    missing = [(place, image) for place, image in enumerate(task.images, task.start) if image in reasons]
    return {
        UNREADABLE: np.array([place for place, _ in missing], np.int64),
        REASONS: np.array([reasons[image] for _, image in missing], np.str_),
        LARGEST: max_values,
        FLAT: flat,
    }


def go_through(
    images: Sequence[str],
    size: int,
    section: Section,
    compute: Compute,
    take: Callable[[int, int, Arrays], object],
    progress: Progress,
) -> None:
    """Let `take` have the arrays of all images: from parts, else computed and added to the section.

    size: of a task. compute: yields the arrays of tasks, in any order. take: (start, end, arrays).
    A resumed run uses the same batch boundaries as an uninterrupted one.
    """
    gaps: list[tuple[int, int]] = []
    at = 0
    while at < len(images):
        end, part = section.next_range(at, len(images))
        if part is None:
            gaps.append((at, end))
        else:
            take(at, end, read_part(part))
        at = end
    tasks = itertools.chain.from_iterable(tasks_of(images, size, *gap) for gap in gaps)
    for task, found in compute(tasks):
        take(task.start, task.end, found)
        section.add(task.start, task.end, found)
        progress.advance(len(task.images))


def warn_of_pixels(max_values: MaxValues, white: float | None, flat: int, count: int, reporter: Reporter) -> None:
    """Warn of images whose values exceed the white of the training, and of images that are a single flat colour."""
    for warning in scale_warnings(max_values, white):
        reporter.warn(warning)
    if flat:
        reporter.warn(flat_in_words(flat, count))

"""Scoring images batch by batch: rows in memory, and parts on disk from which a run is resumed."""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from dfal_cli.errors import shown
from dfal_cli.measures import MeasureRunner
from dfal_cli.schemas import EMBEDDING
from dfal_cli.scoring.reading import REASONS, Compute, Reading, go_through
from dfal_cli.scoring.rows import MEASURED, ROWS_PER_TABLE, Indices, Rows, no_margins
from dfal_cli.scoring.works import MARGINS, MARGINS_OF, ROWS
from dfal_cli.system.crew import Each, tasks_of
from dfal_cli.system.part_files import Arrays, concatenated, read_part
from dfal_cli.system.parts import Section
from dfal_cli.system.progress import Progress
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import scores_table
from dfal_cli.tables.vectors import Values

# Names of further arrays of the parts of margins.
PLACES, LOST = "places", "lost"


def score_all(
    images: Sequence[str], size: int, section: Section, compute: Compute, reporter: Reporter, what: str = "scoring"
) -> tuple[Rows, list[tuple[str, str]]]:
    """Score the images that no part covers yet; return all rows, and (image, reason) for each unreadable image.

    size: of a task. compute: yields the arrays of a part for tasks; extra measures are stored in the section only.
    what: name of the progress bar.
    """
    scoring = _Scoring(images)
    with reporter.progress(what, len(images), "images", section.finished) as progress:
        go_through(images, size, section, compute, scoring.take, progress)
    return scoring.rows(), scoring.reading.unreadable


class PoolMargins:
    """Margins of pool images, computed on request, or read from the parts of a run with the same requests."""

    def __init__(self, each: Each, size: int, rows: Rows, section: Section, reporter: Reporter) -> None:
        """size: of a task. section: stores margins in the order in which they are requested."""
        self.rows = rows
        self.reporter = reporter
        self.lost: dict[str, str] = {}
        """Images that became unreadable after their first reading, with the reasons; their earlier results stay."""
        self._each = each
        self._size = size
        self._section = section
        self._requested = 0

    def add_margins(
        self, rows: Indices, progress: Progress, *, give_up_beyond: float = math.inf, exact: bool = False
    ) -> None:
        """Compute the margins of these rows, whose images are read again.

        Images whose perturbation grows longer than `give_up_beyond` stay `skipped`. exact: compute in float64.
        """
        first = self._requested
        self._requested += len(rows)
        at = first
        while at < self._requested:
            end, part = self._section.next_range(at, self._requested)
            these = rows[at - first : end - first]
            if part is None:
                self._compute(at, these, progress, give_up_beyond, exact=exact)
                at = end
                continue
            stored = read_part(part)
            inside = slice(at - part.start, end - part.start)
            if np.array_equal(stored[PLACES][inside], these):
                self.rows.margins[these] = stored[MARGINS][inside]
                lost = [self.rows.images[row] for row in stored[LOST].tolist()]
                self.lost |= dict(zip(lost, stored[REASONS].tolist(), strict=True))
                progress.skip(end - at)
                at = end
            else:  # the order has changed slightly: another device has recomputed the rows
                self._section.discard()

    def _compute(self, at: int, rows: Indices, progress: Progress, give_up_beyond: float, *, exact: bool) -> None:
        names = [self.rows.images[row] for row in rows.tolist()]
        settings = {"give_up_beyond": give_up_beyond, "exact": exact}
        for task, examined in self._each(MARGINS_OF, tasks_of(names, self._size), **settings):
            of_task = rows[task.start : task.end]
            reasons = dict(examined.unreadable)
            is_lost = np.array([image in reasons for image in task.images], bool)
            self.lost |= reasons
            self.rows.margins[of_task[~is_lost]] = examined.margins  # rows of unreadable images stay unchanged
            found = {
                PLACES: of_task,
                MARGINS: self.rows.margins[of_task],
                LOST: of_task[is_lost],
                REASONS: np.array([reasons[self.rows.images[row]] for row in of_task[is_lost].tolist()], np.str_),
            }
            self._section.add(at + task.start, at + task.end, found)
            progress.advance(len(task.images))


def embed_labelled(
    images: Sequence[str], size: int, section: Section, compute: Compute, reporter: Reporter
) -> tuple[Sequence[str], Values]:
    """Return the images with their embeddings, (n, d): strategies that spread their picks keep away from labelled ones.

    Arguments as of `score_all`. Unreadable images are left out and counted in a warning.
    """
    rows, unreadable = score_all(images, size, section, compute, reporter, "embedding labelled images")
    if unreadable:
        image, reason = unreadable[0]
        first = f"the first: {shown(image)}: {reason}"
        reporter.warn(f"{len(unreadable)} labelled images cannot be read and have no embedding ({first})")
    vectors = concatenated(list(section.blocks())).get(EMBEDDING)  # none if no image is readable
    return rows.images, np.empty((0, 1), np.float32) if vectors is None else vectors


def tables_of(rows: Rows, classes: Sequence[str], section: Section, measuring: MeasureRunner) -> Iterator[pa.Table]:
    """Yield the scores table in pieces of ROWS_PER_TABLE rows, with the extra measures from the section."""
    blocks = ({name: block[name] for name in measuring.names if name in block} for block in section.blocks())
    extra_measures = rechunked(blocks, ROWS_PER_TABLE)
    for start in range(0, max(1, len(rows)), ROWS_PER_TABLE):
        columns = rows.columns(start, start + ROWS_PER_TABLE, classes)
        yield scores_table(columns, next(extra_measures, {}) or measuring.empty())


def rechunked(blocks: Iterable[Arrays], size: int) -> Iterator[Arrays]:
    """Yield the rows of the blocks in blocks of `size` rows; the last one may be shorter."""
    waiting: list[Arrays] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += max((len(values) for values in block.values()), default=0)
        while count >= size:
            together = concatenated(waiting)
            yield {name: values[:size] for name, values in together.items()}
            waiting = [{name: values[size:] for name, values in together.items()}]
            count -= size
    yield concatenated(waiting)


class _Scoring:
    """The rows of images while they are scored."""

    def __init__(self, images: Sequence[str]) -> None:
        self.reading = Reading(images)
        self._measured = np.zeros(len(images), MEASURED)
        self._margins = no_margins(len(images))

    def take(self, start: int, end: int, found: Arrays) -> None:
        """Add the results of the images from `start` up to `end`."""
        readable = self.reading.take(start, end, found)
        self._measured[readable], self._margins[readable] = found[ROWS], found[MARGINS]

    def rows(self) -> Rows:
        """Return the rows of all readable images."""
        reading = self.reading
        return Rows(
            reading.images,
            reading.of_readable(self._measured),
            reading.of_readable(self._margins),
            reading.max_values,
            reading.flat,
        )

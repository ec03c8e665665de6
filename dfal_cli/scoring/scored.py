"""Scoring images batch by batch: rows in memory, and parts on disk from which a run is resumed."""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from dfal_cli.errors import shown
from dfal_cli.measures import MeasureRunner
from dfal_cli.schemas import EMBEDDING
from dfal_cli.scoring.reading import REASONS, Reading, go_through, reading_arrays
from dfal_cli.scoring.rows import MEASURED, ROWS_PER_TABLE, Indices, Rows, no_margins
from dfal_cli.scoring.scorer import ExtraMeasures, ScoredBatch, Scorer
from dfal_cli.system.part_files import Arrays, concatenated, read_part
from dfal_cli.system.parts import Section
from dfal_cli.system.progress import Progress
from dfal_cli.tables import scores_table
from dfal_cli.tables.vectors import Values

# Names of the arrays of a part; extra measures have their own names.
ROWS, MARGINS, PLACES, LOST = "rows", "margins", "places", "lost"


def score_all(
    scorer: Scorer,
    images: Sequence[str],
    section: Section,
    *,
    with_margins: bool,
    extra: ExtraMeasures | None = None,
    what: str = "scoring",
) -> tuple[Rows, list[tuple[str, str]]]:
    """Score the images that no part covers yet; return all rows, and (image, reason) for each unreadable image.

    extra: measures that are stored in the section only, in the order of the rows. what: name of the progress bar.
    """
    scoring = _Scoring(images)
    warm = extra is None

    def compute(start: int, end: int) -> Iterator[tuple[int, Arrays]]:
        nonlocal warm
        if start > 0 and not warm:
            next(scorer.batches_of(images, with_margins=False, extra_measures=extra))
        warm = True  # a measure may choose its method by the first images of the pool
        at = start
        for batch in scorer.batches_of(images[start:end], with_margins=with_margins, extra_measures=extra):
            yield batch.requested, _arrays(images, at, batch)
            at += batch.requested

    with scorer.reporter.progress(what, len(images), "images", section.finished) as progress:
        go_through(len(images), section, compute, scoring.take, progress)
    return scoring.rows(), scoring.reading.unreadable


class PoolMargins:
    """Margins of pool images, computed on request, or read from the parts of a run with the same requests."""

    def __init__(self, scorer: Scorer, rows: Rows, section: Section) -> None:
        """section: stores margins in the order in which they are requested."""
        self.rows = rows
        self.reporter = scorer.reporter
        self._scorer = scorer
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
                self._scorer.lost |= dict(zip(lost, stored[REASONS].tolist(), strict=True))
                progress.skip(end - at)
                at = end
            else:  # the order has changed slightly: another device has recomputed the rows
                self._section.discard()

    def _compute(self, at: int, rows: Indices, progress: Progress, give_up_beyond: float, *, exact: bool) -> None:
        row_of = {self.rows.images[row]: row for row in rows}
        computed = self._scorer.margins_of(list(row_of), give_up_beyond=give_up_beyond, exact=exact)
        for requested, images, margins in computed:
            self.rows.margins[[row_of[image] for image in images]] = margins  # rows of unreadable images stay unchanged
            batch, rows = rows[:requested], rows[requested:]
            lost = [row for row in batch.tolist() if self.rows.images[row] in self._scorer.lost]
            found = {
                PLACES: batch,
                MARGINS: self.rows.margins[batch],
                LOST: np.array(lost, np.int64),
                REASONS: np.array([self._scorer.lost[self.rows.images[row]] for row in lost], np.str_),
            }
            self._section.add(at, at + requested, found)
            at += requested
            progress.advance(requested)


def embed_labelled(
    scorer: Scorer, images: Sequence[str], section: Section, embedding: MeasureRunner
) -> tuple[Sequence[str], Values]:
    """Return the images with their embeddings, (n, d): strategies that spread their picks keep away from labelled ones.

    Unreadable images are left out and counted in a warning.
    """
    rows, unreadable = score_all(
        scorer, images, section, with_margins=False, extra=embedding, what="embedding labelled images"
    )
    if unreadable:
        image, reason = unreadable[0]
        first = f"the first: {shown(image)}: {reason}"
        scorer.reporter.warn(f"{len(unreadable)} labelled images cannot be read and have no embedding ({first})")
    found = concatenated(list(section.blocks())) if len(rows) else embedding.empty()
    return rows.images, found[EMBEDDING]


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


def _arrays(images: Sequence[str], start: int, batch: ScoredBatch) -> Arrays:
    """Return a batch, the first image of which has index `start`, as the arrays of a part."""
    reading = reading_arrays(images, start, batch.requested, batch.unreadable, batch.max_values, batch.flat)
    return {ROWS: batch.measured, MARGINS: batch.margins, **reading, **batch.extra_measures}

"""Images and what is known of them, batch by batch, in memory and in parts."""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from dfal_cli.images import NO_MAX_VALUES, MaxValues
from dfal_cli.measures import MeasureRunner
from dfal_cli.scoring.parts import Arrays, Section, joined, read_part
from dfal_cli.scoring.rows import MEASURED, Indices, Rows, no_margins
from dfal_cli.scoring.scorer import Batch, ExtraMeasures, Scorer
from dfal_cli.system.progress import Progress
from dfal_cli.tables import scores_table

ROWS_AT_ONCE = 2**14
"""Go into the scores file at a time."""

# The arrays of a part; the extra measures stand beside them under their own names.
ROWS, MARGINS, UNREADABLE, REASONS, PLACES, LOST = "rows", "margins", "unreadable", "reasons", "places", "lost"
LARGEST, FLAT = "largest", "flat"


def score_all(
    scorer: Scorer,
    images: Sequence[str],
    section: Section,
    *,
    with_margins: bool,
    extra_measures: ExtraMeasures | None = None,
    what: str = "scoring",
) -> tuple[Rows, list[tuple[str, str]]]:
    """Score the images that are in no part yet: the rows of all that can be read, and (image, reason) of the rest.

    extra_measures: stored in the section only, in the order of the rows. what: name of the progress bar.
    A resumed run uses the same batch boundaries as an uninterrupted one.
    """
    scoring = _Scoring(images)
    warm = extra_measures is None
    with scorer.reporter.progress(what, len(images), "images", section.kept) as progress:
        at = 0
        while at < len(images):
            end, part = section.stretch(at, len(images))
            if part is not None:
                scoring.take(at, end, read_part(part))
                at = end
                continue
            if at > 0 and not warm:
                next(scorer.batches_of(images, with_margins=False, extra_measures=extra_measures))
            warm = True  # a measure may decide by the first images it sees how it goes about it
            for batch in scorer.batches_of(images[at:end], with_margins=with_margins, extra_measures=extra_measures):
                found = _arrays(images, at, batch)
                scoring.take(at, at + batch.asked, found)
                section.add(at, at + batch.asked, found)
                at += batch.asked
                progress.advance(batch.asked)
    return scoring.rows(), scoring.unreadable


class PoolMargins:
    """Rows whose margins are computed when they are asked for, or taken from the parts of a run that asked the same."""

    def __init__(self, scorer: Scorer, rows: Rows, section: Section) -> None:
        """section: its positions count the margins in the order in which they are asked for."""
        self.rows = rows
        self.reporter = scorer.reporter
        self._scorer = scorer
        self._section = section
        self._asked = 0

    def add_margins(
        self, places: Indices, progress: Progress, *, give_up_beyond: float = math.inf, exact: bool = False
    ) -> None:
        """Read the images of these rows again and fill in their margins; `exact`: computed in float64.

        Images given up because they would go beyond so far stay `skipped`. Each batch advances the progress.
        """
        first = self._asked
        self._asked += len(places)
        at = first
        while at < self._asked:
            end, part = self._section.stretch(at, self._asked)
            these = places[at - first : end - first]
            if part is None:
                self._compute(at, these, progress, give_up_beyond, exact=exact)
                at = end
                continue
            stored = read_part(part)
            inside = slice(at - part.start, end - part.start)
            if np.array_equal(stored[PLACES][inside], these):
                self.rows.margins[these] = stored[MARGINS][inside]
                lost = [self.rows.images[place] for place in stored[LOST].tolist()]
                self._scorer.lost |= dict(zip(lost, stored[REASONS].tolist(), strict=True))
                progress.skip(end - at)
                at = end
            else:  # the rows are not quite the same: they have been computed anew by another device
                self._section.forget()

    def _compute(self, at: int, places: Indices, progress: Progress, give_up_beyond: float, *, exact: bool) -> None:
        position_of = {self.rows.images[place]: place for place in places}
        computed = self._scorer.margins_of(list(position_of), give_up_beyond=give_up_beyond, exact=exact)
        for asked, images, margins in computed:
            self.rows.margins[[position_of[image] for image in images]] = margins  # what cannot be read stays as it is
            batch, places = places[:asked], places[asked:]
            lost = [place for place in batch.tolist() if self.rows.images[place] in self._scorer.lost]
            found = {
                PLACES: batch,
                MARGINS: self.rows.margins[batch],
                LOST: np.array(lost, np.int64),
                REASONS: np.array([self._scorer.lost[self.rows.images[place]] for place in lost], np.str_),
            }
            self._section.add(at, at + asked, found)
            at += asked
            progress.advance(asked)


def tables_of(rows: Rows, classes: Sequence[str], section: Section, measuring: MeasureRunner) -> Iterator[pa.Table]:
    """The scores file of the rows, some at a time, with the extra measures that their section keeps."""
    blocks = ({name: block[name] for name in measuring.names if name in block} for block in section.blocks())
    extra_measures = in_groups(blocks, ROWS_AT_ONCE)
    for start in range(0, max(1, len(rows)), ROWS_AT_ONCE):
        columns = rows.columns(start, start + ROWS_AT_ONCE, classes)
        yield scores_table(columns, next(extra_measures, {}) or measuring.empty())


def in_groups(blocks: Iterable[Arrays], size: int) -> Iterator[Arrays]:
    """The rows of the blocks, so many at a time; what is left comes last."""
    waiting: list[Arrays] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += max((len(values) for values in block.values()), default=0)
        while count >= size:
            together = joined(waiting)
            yield {name: values[:size] for name, values in together.items()}
            waiting = [{name: values[size:] for name, values in together.items()}]
            count -= size
    yield joined(waiting)


class _Scoring:
    """The rows of images that are being scored."""

    def __init__(self, images: Sequence[str]) -> None:
        self._images = images
        self._measured = np.zeros(len(images), MEASURED)
        self._margins = no_margins(len(images))
        self.unreadable: list[tuple[str, str]] = []
        self._missing: list[int] = []
        self._max_values: list[MaxValues] = []
        self._flat = 0

    def take(self, start: int, end: int, found: Arrays) -> None:
        """Fill in what has been found of the images from `start` to `end`."""
        missing = found[UNREADABLE].tolist()
        readable = np.delete(np.arange(start, end), found[UNREADABLE] - start)
        self._measured[readable], self._margins[readable] = found[ROWS], found[MARGINS]
        self._missing += missing
        self._max_values.append(found[LARGEST])
        self._flat += int(found[FLAT].sum())
        reasons = found[REASONS].tolist()
        self.unreadable += zip((self._images[place] for place in missing), reasons, strict=True)

    def rows(self) -> Rows:
        """Those of the images that could be read."""
        max_values = np.concatenate([NO_MAX_VALUES, *self._max_values])
        if not self._missing:
            return Rows(self._images, self._measured, self._margins, max_values, self._flat)
        readable = np.delete(np.arange(len(self._images)), self._missing)
        return Rows(
            [self._images[place] for place in readable.tolist()],
            self._measured[readable],
            self._margins[readable],
            max_values,
            self._flat,
        )


def _arrays(images: Sequence[str], start: int, batch: Batch) -> Arrays:
    """A batch as it stands in a part; `start` is where it begins among all images."""
    unreadable = dict(batch.unreadable)
    places = [place for place in range(start, start + batch.asked) if images[place] in unreadable] if unreadable else []
    return {
        ROWS: batch.measured,
        MARGINS: batch.margins,
        UNREADABLE: np.array(places, np.int64),
        REASONS: np.array([unreadable[images[place]] for place in places], np.str_),
        LARGEST: batch.max_values,
        FLAT: batch.flat,
        **batch.extra_measures,
    }

"""The works of scoring: what a process of a crew computes of a task."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from dfal_cli.measures import MeasureRunner
from dfal_cli.scoring.reading import reading_arrays
from dfal_cli.scoring.scorer import Examined, ScoredBatch, Scorer, TwinsOfBatch
from dfal_cli.system.crew import Task, Work, with_results
from dfal_cli.system.part_files import Arrays

SCORE, EMBED_LABELLED, MARGINS_OF, TWINS_OF = "score", "embed labelled", "margins", "twins"
"""Names of the works."""

# Names of the arrays of a part; extra measures have their own names.
ROWS, MARGINS = "rows", "margins"


def works_of(scorer: Scorer, measures: MeasureRunner, embedding: MeasureRunner | None) -> Mapping[str, Work]:
    """Return the works by name. embedding: the measure of labelled images; None if it is not needed."""

    def score(tasks: Iterable[Task], *, with_margins: bool, first: Sequence[str]) -> Iterator[tuple[Task, Arrays]]:
        return _scored(tasks, scorer, measures, first, with_margins=with_margins)

    def embed_labelled(tasks: Iterable[Task], *, first: Sequence[str]) -> Iterator[tuple[Task, Arrays]]:
        assert embedding is not None
        return _scored(tasks, scorer, embedding, first, with_margins=False)

    def margins(tasks: Iterable[Task], *, give_up_beyond: float, exact: bool) -> Iterator[tuple[Task, Examined]]:
        return with_results(tasks, partial(scorer.margins_of, give_up_beyond=give_up_beyond, exact=exact))

    def twins(tasks: Iterable[Task]) -> Iterator[tuple[Task, TwinsOfBatch]]:
        return with_results(tasks, scorer.twins_of)

    return {SCORE: score, EMBED_LABELLED: embed_labelled, MARGINS_OF: margins, TWINS_OF: twins}


def _scored(
    tasks: Iterable[Task], scorer: Scorer, measures: MeasureRunner, first: Sequence[str], *, with_margins: bool
) -> Iterator[tuple[Task, Arrays]]:
    """Yield the arrays of tasks. first: the first batch of all the images."""
    tasks = iter(tasks)
    for earliest in tasks:
        if earliest.start and measures.names:  # a measure may choose its method by the first images that it sees
            next(scorer.batches_of([first], with_margins=False, extra_measures=measures))
        score = partial(scorer.batches_of, with_margins=with_margins, extra_measures=measures)
        for task, batch in with_results(itertools.chain([earliest], tasks), score):
            yield task, _arrays(task, batch)


def _arrays(task: Task, batch: ScoredBatch) -> Arrays:
    """Return the results of a task as the arrays of a part."""
    reading = reading_arrays(task, batch.unreadable, batch.max_values, batch.flat)
    return {ROWS: batch.measured, MARGINS: batch.margins, **reading, **batch.extra_measures}

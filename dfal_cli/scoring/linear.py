"""Scores of embeddings by a linear head, in closed form and without torch."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from dfal_cli.margins.linear import ROWS_AT_ONCE, Floats, LinearBoundaries
from dfal_cli.margins.reasons import NO_GRADIENT, NOT_FINITE
from dfal_cli.measures.linear import LINEAR_MEASURES, uncertainty
from dfal_cli.schemas import CROSSED, UNCROSSED
from dfal_cli.scoring.rows import (
    MEASURED,
    OUTCOMES,
    REASONS,
    ROWS_PER_TABLE,
    UNKNOWN,
    Block,
    Indices,
    Rows,
    no_margins,
)
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import scores_table
from dfal_cli.tables.vectors import Values


def score_vectors(images: Sequence[str], vectors: Values, boundaries: LinearBoundaries, reporter: Reporter) -> Rows:
    """Return the rows of images with these embeddings, (n, d), of unit length. All margins are known."""
    measured, margins = np.empty(len(images), MEASURED), no_margins(len(images))
    with reporter.progress("scoring", len(images), "images") as progress:
        for block in blocks_of(len(images)):
            logits = boundaries.logits(vectors[block])
            measured[block], margins[block] = _scored(boundaries, logits)
            progress.advance(len(logits))
    return Rows(images, measured, margins)


def tables_of(
    rows: Rows, vectors: Values, boundaries: LinearBoundaries, classes: Sequence[str], measures: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield the scores table in pieces, with further measures, which are computed here and not kept."""
    for start in range(0, len(rows), ROWS_PER_TABLE):
        stop = start + ROWS_PER_TABLE
        yield scores_table(rows.columns(start, stop, classes), measures_of(vectors[start:stop], boundaries, measures))


def measures_of(vectors: Values, boundaries: LinearBoundaries, measures: Sequence[str]) -> dict[str, Values]:
    """Return the named measures of LINEAR_MEASURES of embeddings, (n, d), of unit length."""
    blocks: dict[str, list[Values]] = {name: [] for name in measures}
    if measures:
        for block in blocks_of(len(vectors)):
            logits = boundaries.logits(vectors[block])
            for name, found in blocks.items():
                found.append(LINEAR_MEASURES[name](logits, vectors[block]).astype(np.float32))
    return {name: np.concatenate(found) for name, found in blocks.items()}


def twins_of(
    rows: Indices, vectors: Values, boundaries: LinearBoundaries, overshoot: float
) -> Iterator[tuple[int, Values]]:
    """Yield each of the rows, which must have margins, with its twin, (d,): the embedding just across the boundary.

    Twins that are not clearly across are left out.
    """
    for block in blocks_of(len(rows)):
        twins, across = boundaries.across(vectors[rows[block]], overshoot)
        yield from zip(rows[block][across].tolist(), twins[across], strict=True)


def blocks_of(count: int) -> Iterator[slice]:
    """Yield the slices in which `count` vectors are computed."""
    yield from (slice(start, start + ROWS_AT_ONCE) for start in range(0, count, ROWS_AT_ONCE))


def _scored(boundaries: LinearBoundaries, logits: Floats) -> tuple[Block, Block]:
    """Return rows of MEASURED and of MARGINS for logits, (n, K)."""
    measured, margins = np.empty(len(logits), MEASURED), no_margins(len(logits))
    predicted, margin, crossing_class = boundaries.margins(logits)
    measured["predicted"], margins["crossing_class"] = predicted, crossing_class
    for name, values in uncertainty(logits)._asdict().items():
        measured[name] = values
    second, first = np.partition(logits, -2, axis=1)[:, -2:].T
    with np.errstate(invalid="ignore"):
        measured["logit_gap"] = np.where(predicted == UNKNOWN, np.nan, first - second)
    reached = crossing_class != UNKNOWN
    margins["margin"] = margin.astype(np.float32)  # as stored: copies of an image tie, and are ranked by their paths
    margins["outcome"] = np.where(reached, OUTCOMES.index(CROSSED), OUTCOMES.index(UNCROSSED))
    why = np.where(predicted == UNKNOWN, REASONS.index(NOT_FINITE), REASONS.index(NO_GRADIENT))
    margins["why"] = np.where(reached, REASONS.index(None), why)
    return measured, margins

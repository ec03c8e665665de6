"""Embeddings of the images to choose from, and of the labelled ones, from an embeddings file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfal_cli.errors import DataError, plural
from dfal_cli.images.pool import KnownImages
from dfal_cli.schemas import EMBEDDING, IMAGE
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.strategies import STRATEGIES, Pool
from dfal_cli.system.paths import named_in_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import ImageNames
from dfal_cli.tables.embeddings import read_embedded_images, read_embeddings
from dfal_cli.tables.vectors import move_to_front, scale_to_unit_length


def file_of(options: SelectOptions, scores: Path, metadata: Mapping[str, Any]) -> Path | None:
    """The embeddings named by the options, or else by the metadata of the scores; None if neither names a file."""
    if options.embeddings is not None or "embeddings" not in metadata:
        return options.embeddings
    return named_in_file(metadata["embeddings"], scores)


def with_embeddings(
    file: Path, options: SelectOptions, table: pd.DataFrame, known: KnownImages, reporter: Reporter
) -> tuple[Pool, str]:
    """The pool of a table of images, with embeddings of unit length, and the SHA-256 of the embeddings.

    Raises DataError if the file has none of the images.
    """
    strategy = STRATEGIES[options.strategy]
    learnt = known.to_be_learnt if strategy.labelled else set()
    images, vectors, _, sha256 = read_embeddings(file, names=learnt.union(table[IMAGE]), warn=reporter.warn)
    scale_to_unit_length(vectors)
    rows = pd.Index(images).get_indexer(pd.Index(table[IMAGE]))
    missing = int((rows < 0).sum())
    if missing == len(table):
        raise _none_of(file, table)
    if missing and EMBEDDING in strategy.needs:
        reporter.warn(
            f"{file}: has no embedding of {missing} of {len(table)} images to choose from; they are listed last"
        )
    labelled = vectors[[row for row, image in enumerate(images) if image in learnt]]
    if len(labelled) < len(learnt):
        count = len(learnt) - len(labelled)
        reporter.warn(f"{file}: has no embedding of {count} labelled {plural(count, 'image')}")
    kept = np.unique(rows[rows >= 0])
    move_to_front(vectors, kept)  # as successive rows, which strategies need not copy
    unknown = np.full(vectors.shape[1], np.nan, np.float32)
    places = np.searchsorted(kept, rows).tolist()
    cells = [vectors[place] if row >= 0 else unknown for place, row in zip(places, rows.tolist(), strict=True)]
    pool = table.assign(**{EMBEDDING: pd.Series(cells, table.index, dtype=object)})
    return Pool(pool, labelled if strategy.labelled else None), sha256


def _none_of(file: Path, table: pd.DataFrame) -> DataError:
    """Return the error that the file has an embedding of none of the images, and how their names would match."""
    named = read_embedded_images(file)
    names = ImageNames(file, frozenset(named).__contains__, lambda: named, "in")
    advice = names.advice(table[IMAGE], "the scores") or "name the embeddings of these images"
    return DataError(f"{file}: has none of the images to choose from{names.hint(table[IMAGE].iloc[0])}; {advice}")

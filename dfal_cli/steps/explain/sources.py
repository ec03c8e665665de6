"""What is known about the images: the list, the scores, the labels and the embeddings, as far as they are named.

The record beside a list names the files that it was made from; options replace them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.schemas import EMBEDDING, IMAGE, LABEL, META_SUFFIX
from dfal_cli.steps.explain.options import ExplainOptions
from dfal_cli.system.files import beside
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.paths import named_in_file, root_named_in_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.state_files import read_json
from dfal_cli.tables import read_csv, read_labelled_embeddings, read_labels_files, read_queries, read_scores
from dfal_cli.tables.embeddings import read_embeddings, read_embeddings_metadata
from dfal_cli.tables.vectors import Values, scale_to_unit_length

NO_LABELS = {IMAGE: pd.Series(dtype=str), LABEL: pd.Series(dtype=str), "file": pd.Series(dtype=str)}


class Embedded(NamedTuple):
    """Images with their embeddings."""

    images: list[str]
    vectors: Values
    """(n, d), of unit length."""

    def rows(self, images: "set[str] | frozenset[str]") -> list[int]:
        """Return the rows of these images, as far as they have one."""
        return [row for row, image in enumerate(self.images) if image in images]


class Sources(NamedTuple):
    """What is known. Tables and embeddings are None if they are unknown."""

    queries: pd.DataFrame | None
    settings: dict[str, Any]
    """Settings of the `select` that made the list."""
    scores_file: Path | None
    scores: pd.DataFrame | None
    scored_with: dict[str, Any]
    """Metadata of the scores."""
    labels: pd.DataFrame
    """As `read_labels_files` returns it."""
    excluded: dict[str, str]
    """Image -> the --exclude file that names it."""
    embedded: Embedded | None
    root: ImageRoot | None
    """The image root."""
    follow_links: bool

    @property
    def asked(self) -> list[str]:
        """The images of the list, in its order."""
        return [] if self.queries is None else list(self.queries[IMAGE])


def read_sources(options: ExplainOptions, reporter: Reporter) -> Sources:
    """Read what the options and the record of the list name. Raises UsageError or DataError if a file is invalid.

    A file that only the record names may be gone.
    """
    record = _record(options.queries)
    files = _named(options.queries, record.get("files"))
    scores_file = options.scores or _first(files, "scores")
    scored = read_scores(scores_file, (EMBEDDING,)) if scores_file else None
    metadata = dict(scored.metadata) if scored else {}
    labels = read_labels_files(options.labels or files.get("labels", []))
    excluded = {
        image: str(path) for path in files.get("exclude", []) for image in read_csv(path, required=(IMAGE,))[IMAGE]
    }
    embeddings_file = options.embeddings or _first(files, "embeddings")
    if embeddings_file is None and scores_file and "embeddings" in metadata:
        embeddings_file = _if_there(named_in_file(metadata["embeddings"], scores_file))
    root, follow_links = _image_root(options, scores_file, metadata, embeddings_file)
    return Sources(
        read_queries(options.queries) if options.queries else None, dict(record.get("settings") or {}), scores_file,
        scored.table if scored else None, metadata, labels, excluded,
        _embedded(embeddings_file, scores_file, scored.table if scored else None, reporter), root, follow_links,
    )  # fmt: skip


def _record(queries: Path | None) -> Mapping[str, Any]:
    found = read_json(beside(queries, META_SUFFIX)) if queries else None
    return found if isinstance(found, dict) else {}


def _named(queries: Path | None, stored: Any) -> dict[str, list[Path]]:
    """The files in the record that still exist: option -> paths."""
    if queries is None or not isinstance(stored, dict):
        return {}
    named = {name: [_shorter(named_in_file(str(path), queries)) for path in paths] for name, paths in stored.items()}
    return {name: [path for path in paths if path.exists()] for name, paths in named.items()}


def _shorter(path: Path) -> Path:
    """The path from the working directory, if it is below, for messages."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _first(files: Mapping[str, list[Path]], name: str) -> Path | None:
    return next(iter(files.get(name, [])), None)


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _image_root(
    options: ExplainOptions, scores_file: Path | None, metadata: Mapping[str, Any], embeddings_file: Path | None
) -> tuple[ImageRoot | None, bool]:
    """The image root, and whether links may lead out of it."""
    stored, file = metadata, scores_file
    if not metadata.get("image_root") and embeddings_file is not None:
        stored, file = read_embeddings_metadata(embeddings_file), embeddings_file
    root = stored.get("image_root")
    follow_links = options.follow_links or bool(stored.get("follow_links", False))
    return options.images or (root_named_in_file(root, file) if root and file else None), follow_links


def _embedded(
    embeddings_file: Path | None, scores_file: Path | None, scores: pd.DataFrame | None, reporter: Reporter
) -> Embedded | None:
    """The embeddings in a file, or else those that the network has measured (`score --measure embedding`)."""
    if embeddings_file is not None:
        with reporter.busy("reading embeddings"):
            file = read_embeddings(embeddings_file, warn=reporter.warn)
        scale_to_unit_length(file.vectors)
        return Embedded(file.images, file.vectors)
    if scores is None or scores_file is None or EMBEDDING not in scores:
        return None
    vectors = np.stack(list(scores[EMBEDDING]))
    images = list(scores[IMAGE])
    labelled = read_labelled_embeddings(scores_file)
    if labelled is not None:
        images, vectors = [*images, *labelled[0]], np.concatenate([vectors, labelled[1]])
    known = np.isfinite(vectors).all(1)
    found = np.ascontiguousarray(vectors[known])
    scale_to_unit_length(found)
    return Embedded([image for image, is_known in zip(images, known, strict=True) if is_known], found)

"""Images to choose from by the scores of a network: neither labelled nor excluded since they were scored."""

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfal_cli.errors import EmptyPoolError, UsageError
from dfal_cli.images import ImageSource
from dfal_cli.images.pool import KnownImages, read_known_images
from dfal_cli.schemas import EMBEDDING, IMAGE, LABEL, META_SUFFIX, PIXEL_SPACE, SKIP
from dfal_cli.steps.select.candidates import Candidates, classes_of, existence_test, score_options, source_under
from dfal_cli.steps.select.embedded import file_of, with_embeddings
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.strategies import STRATEGIES, Pool
from dfal_cli.system.fingerprints import sha256_of
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.paths import root_named_in_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import (
    ImageNames,
    ScoresFile,
    complete_scores,
    labelled_rows,
    metadata_matches_rows,
    read_labelled_embeddings,
    read_scores,
)
from dfal_cli.tables.name_columns import membership, rows_where


def scored_candidates(
    options: SelectOptions, scores: Path, images: ImageSource | None, reporter: Reporter
) -> Candidates:
    """The rows of the scores file that have not been labelled since and are not excluded.

    images: replace the image root, if given. Raises UsageError or DataError as `select`.
    """
    table, metadata = scored = _read(options, scores, reporter)
    stored = metadata["image_root"]  # None if another program made the embeddings
    root = options.images or (root_named_in_file(stored, scores) if stored is not None else None)
    follow_links = options.follow_links or metadata.get("follow_links", False)
    source = source_under(root, images, scores, reporter, follow_links=follow_links)
    names = _names(root or scores, source, table)
    known = read_known_images(options.labels, options.exclude, names, reporter, exist=source is not None)
    # Most of these images were left out of the scores already: count those that exist, whether scored or not.
    counts = known.counts(filter(names.is_there, known.outside))
    is_left_out = table[IMAGE].isin(known.outside)
    if is_left_out.all():
        raise EmptyPoolError(f"{scores}: no images are left to ask about: all are labelled or excluded", counts)
    pool, embeddings_id = _pool_of(options, scores, scored, is_left_out, known, reporter)
    made_from = {"scores": metadata.get("made_from") or sha256_of(scores)} | embeddings_id
    metadata = {"space": PIXEL_SPACE} | metadata | {"follow_links": follow_links}
    certain = _certain(scored) if STRATEGIES[options.strategy].nearest else None
    return Candidates(
        pool, counts, root, existence_test(source), metadata, made_from, source,
        classes_of(known.labels, metadata.get("classes", ())), certain, partial(complete_scores, scores),
    )  # fmt: skip


def _pool_of(
    options: SelectOptions,
    scores: Path,
    scored: ScoresFile,
    is_left_out: "pd.Series[bool]",
    known: KnownImages,
    reporter: Reporter,
) -> tuple[Pool, dict[str, str]]:
    """The rows that are not left out, with embeddings from a file if there is one; the id of a file in the options."""
    left = rows_where(scored.table, ~is_left_out)
    embeddings = file_of(options, scores, scored.metadata)
    if embeddings is None or not embeddings.is_file():
        is_labelled = STRATEGIES[options.strategy].labelled
        labelled = _labelled_embeddings(scores, scored.table, is_left_out, known, reporter) if is_labelled else None
        return Pool(left, labelled), {}
    if STRATEGIES[options.strategy].labelled and not options.labels:
        reporter.warn(
            f"--strategy {options.strategy} avoids images similar to labelled ones; name the labels files with --labels"
        )
    pool, sha256 = with_embeddings(embeddings, options, left, known, reporter)
    if scored.metadata.get("embeddings_sha256", sha256) != sha256:
        reporter.warn(f"{embeddings}: has changed since {scores} was made; score again to be sure")
    return pool, {"embeddings": sha256} if options.embeddings is not None else {}


def _read(options: SelectOptions, scores: Path, reporter: Reporter) -> ScoresFile:
    """The scores with the measures the strategy needs. Raises UsageError if one is missing."""
    if not metadata_matches_rows(scores):
        reporter.warn(
            f"{scores}: does not match its {META_SUFFIX[1:]}: the file was changed, or score was killed while writing "
            "it; score again to be sure"
        )
    strategy = STRATEGIES[options.strategy]
    scored = read_scores(scores, strategy.needs, strategy.columns)
    missing = [measure for measure in strategy.needs if measure not in scored.table]
    if EMBEDDING in missing and (embeddings := file_of(options, scores, scored.metadata)) is not None:
        if not embeddings.is_file():
            raise UsageError(
                f"--strategy {options.strategy}: {embeddings}, from which {scores} was made, does not exist; "
                "name the embeddings with --embeddings"
            )
        missing.remove(EMBEDDING)
    if missing:
        raise UsageError(
            f"--strategy {options.strategy}: {scores} has no {' and no '.join(missing)}; "
            f"score with {score_options(options, scored.metadata.get('space', PIXEL_SPACE))}"
        )
    return scored


def _names(root: ImageRoot, source: ImageSource | None, table: pd.DataFrame) -> ImageNames:
    """The names of the scored images and of the other images under the root."""
    scored = membership(table[IMAGE])
    if source is None:
        return ImageNames(root, scored.__contains__, lambda: table[IMAGE])
    return ImageNames(
        root,
        lambda image: image in scored or source.is_there(image),
        lambda: {*table[IMAGE], *source.listing().images},
    )


def _labelled_embeddings(
    scores: Path, table: pd.DataFrame, is_left_out: "pd.Series[bool]", known: KnownImages, reporter: Reporter
) -> npt.NDArray[np.float32]:
    """Embeddings, (m, d), of the images labelled before scoring and of the scored images labelled or asked about since.

    Skipped images do not count as labelled.
    """
    is_learnt = is_left_out & table[IMAGE].isin(known.to_be_learnt)
    found = table.loc[is_learnt, [IMAGE, EMBEDDING]]
    before = read_labelled_embeddings(scores)
    if before is not None:
        images, embeddings = before
        found = pd.concat([pd.DataFrame({IMAGE: images, EMBEDDING: list(embeddings)}), found]).drop_duplicates(IMAGE)
    missing = int((~labelled_rows(known.labels)[IMAGE].isin(found[IMAGE])).sum())
    if missing:
        reporter.warn(f"{missing} labelled images have no embedding: they were not labelled when {scores} was made")
    found = found[~found[IMAGE].isin(known.labels.loc[known.labels[LABEL] == SKIP, IMAGE])]
    vectors: npt.NDArray[np.float32] = np.array(found[EMBEDDING].to_list(), np.float32)
    vectors = vectors.reshape(len(found), len(table[EMBEDDING][0]))
    return vectors[np.flatnonzero(np.isfinite(vectors).all(1))]


def _certain(scored: ScoresFile) -> frozenset[str] | None:
    """The images of the `score --nearest` margins; None if all margins were computed, or fewer images crossed."""
    nearest = scored.metadata.get("nearest")
    if nearest is None:
        return None
    images = frozenset(scored.table.nsmallest(nearest, "margin")[IMAGE])
    return images if len(images) == nearest else None

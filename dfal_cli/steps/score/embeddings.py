"""score --embeddings: exact margins of embeddings of unit length, in the space that the head classifies."""

from functools import partial
from pathlib import Path
from typing import Any

from dfal_cli.images.pool import draw_candidates, find_embedded_pool
from dfal_cli.margins.linear import LinearBoundaries
from dfal_cli.models.head_file import LoadedHead, check_fit, load_head
from dfal_cli.schemas import EMBEDDING_SPACE
from dfal_cli.scoring.judging import warn_unless_learnt
from dfal_cli.scoring.linear import score_vectors, tables_of, twins_of
from dfal_cli.steps.pool_inputs import common_inputs, inputs_metadata, is_up_to_date
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.score.checks import ONLY_OF_IMAGES
from dfal_cli.steps.score.inputs import SCORES
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.score.outputs import (
    OPTIONAL_OUTPUTS,
    check_outputs_writable,
    companions,
    count_outcomes,
    details_of,
    locked_outputs,
    metadata_of_scores,
    save_twins,
    summary_of,
)
from dfal_cli.system.fingerprints import fingerprint, must_be_unchanged
from dfal_cli.system.paths import relative_to_file, root_named_in_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import write_scores
from dfal_cli.tables.embeddings import EmbeddingsFile, embeddings_sha256, read_embedded_images, read_embeddings
from dfal_cli.tables.vectors import scale_to_unit_length


def score_embeddings(options: ScoreOptions, file: Path, reporter: Reporter) -> Result:
    """Score the images of the pool whose embeddings are in the file. All margins are known after one matrix product."""
    with locked_outputs(options, reporter):
        with reporter.busy("listing the images"):
            pool, _, left_out = find_embedded_pool(
                file, read_embedded_images(file), options.labels, options.exclude, reporter
            )
            inputs = _inputs(options, file, pool)
        if is_up_to_date(options, SCORES, inputs, reporter):
            return up_to_date([options.out])
        check_outputs_writable(options)
        head = load_head(options.checkpoint)
        candidates = draw_candidates(pool, options.candidates, options.seed)
        with reporter.busy("reading the embeddings"):
            embeddings = read_embeddings(file, names=frozenset(candidates), warn=reporter.warn)
        must_be_unchanged(options.checkpoint, head.sha256, inputs["checkpoint"])
        must_be_unchanged(file, embeddings.sha256, inputs["embeddings"])
        check_fit(options.checkpoint, head, file, embeddings.vectors.shape[1], embeddings.metadata)
        reporter.note(f"scoring {len(candidates)} of {len(pool)} pool images")
        counts = {"pool": len(pool), **left_out}
        return _score_pool(options, head, file, embeddings, counts, inputs, reporter)


def _inputs(options: ScoreOptions, file: Path, pool: list[str]) -> dict[str, Any]:
    """What determines the scores, ready for JSON."""
    inputs = common_inputs(options, EMBEDDING_SPACE)
    without_effect = ONLY_OF_IMAGES | {"nearest"}
    settings = {name: value for name, value in inputs["settings"].items() if name not in without_effect}
    return inputs | {"settings": settings, "embeddings": embeddings_sha256(file), "images": fingerprint(pool)}


def _score_pool(
    options: ScoreOptions, head: LoadedHead, file: Path, embeddings: EmbeddingsFile, counts: dict[str, int],
    inputs: dict[str, Any], reporter: Reporter,
) -> Result:  # fmt: skip
    """Score the embeddings, and write all outputs. counts: those of the pool."""
    warn_unless_learnt(head.metadata, reporter)
    vectors = embeddings.vectors
    scale_to_unit_length(vectors)
    boundaries = LinearBoundaries(head.weight, head.bias, options.norm)
    rows = score_vectors(embeddings.images, vectors, boundaries, reporter)
    twins = partial(twins_of, vectors=vectors, boundaries=boundaries, overshoot=options.overshoot)
    save_twins(options, rows, twins, reporter)
    metadata = metadata_of_scores(
        options, head, inputs_metadata(inputs), _metadata_of_embeddings(options, file, embeddings)
    )
    with reporter.busy("writing the scores"):
        write_scores(options.out, tables_of(rows, vectors, boundaries, head.classes, options.measure), metadata)
    for stale in companions(options.out, OPTIONAL_OUTPUTS):
        stale.unlink(missing_ok=True)
    outcomes = count_outcomes(rows, head, reporter, may_be_skipped=False)
    counts |= {"scored": len(rows), **outcomes, "twins": len(rows.twins)}
    return Result(
        [options.out], summary_of(options, EMBEDDING_SPACE, rows, counts), counts, details_of(EMBEDDING_SPACE, rows)
    )


def _metadata_of_embeddings(options: ScoreOptions, file: Path, embeddings: EmbeddingsFile) -> dict[str, Any]:
    """Metadata of scores of embeddings. All margins are known, so there is no limit to the nearest."""
    root = embeddings.metadata.get("image_root")  # unknown if another program made the embeddings
    return {
        "space": EMBEDDING_SPACE,
        "embeddings": relative_to_file(file, options.out),
        "embeddings_sha256": embeddings.sha256,
        "image_root": relative_to_file(root_named_in_file(root, file), options.out) if root else None,
        "follow_links": options.follow_links or embeddings.metadata.get("follow_links", False),
        "estimator": "linear",
        "nearest": None,
        "labelled_embeddings": False,
    }

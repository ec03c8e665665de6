"""Checks of the options of `dfal score`."""

from collections.abc import Collection

from dfal_cli.errors import UsageError, unknown_name
from dfal_cli.schemas import SCORES_COLUMNS, VECTOR_MEASURES
from dfal_cli.steps.option import given_options, no_effect
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.paths import must_be_regular, must_end_with
from dfal_cli.tables.streamed import SUFFIXES

ONLY_OF_IMAGES = frozenset({
    "max_unreadable", "cache", "cache_limit", "arch", "trust_code", "estimator", "classes", "max_iterations", "clip",
    "passes", "device", "workers", "batch_size",
})  # fmt: skip
"""Options without meaning for embeddings: nothing is decoded, and their margins are exact and known at once."""


def check(options: ScoreOptions) -> None:
    """Raise UsageError if an option is invalid."""
    if (options.images is None) == (options.embeddings is None):
        raise UsageError("use either --images (margins in pixels) or --embeddings (margins between embeddings)")
    must_end_with(options.out, SUFFIXES, "--out")
    must_be_regular(options.checkpoint, "--checkpoint")
    check_in_space = _check_in_pixels if options.embeddings is None else _check_in_embeddings
    check_in_space(options)
    if options.nearest is not None and options.twins > options.nearest:
        raise UsageError(
            f"--twins {options.twins}: there are twins only of the --nearest {options.nearest} margins; "
            "use a smaller number"
        )
    if options.twins_dir and not options.twins:
        raise no_effect("--twins-dir", "without --twins N")


def _check_in_pixels(options: ScoreOptions) -> None:
    from dfal_cli.measures import MEASURES

    check_margin(options.norm, options.estimator, options.classes)
    _check_measures(options, MEASURES)


def _check_in_embeddings(options: ScoreOptions) -> None:
    from dfal_cli.margins.linear import NORMS
    from dfal_cli.measures.linear import LINEAR_MEASURES, NOT_LINEAR

    for given in given_options(options):
        if given.name in ONLY_OF_IMAGES:
            raise no_effect(given.spelling, "with --embeddings")
    _must_be_in("norm", options.norm, NORMS)
    for name in options.measure:
        if name in NOT_LINEAR:
            raise UsageError(f"--measure {name}: {NOT_LINEAR[name]}")
    _check_measures(options, LINEAR_MEASURES)


def _check_measures(options: ScoreOptions, available: Collection[str]) -> None:
    for name in options.measure:
        if name in SCORES_COLUMNS:
            raise UsageError(f"--measure {name}: every scores file contains it already; remove the option")
        if name not in available:
            raise unknown_name("--measure", name, available, "use any of")
        if name in VECTOR_MEASURES and options.out.suffix.lower() == ".csv":
            raise UsageError(f"--measure {name}: CSV cannot hold vectors: use a .parquet output")


def check_margin(norm: str, estimator: str, classes: int | None) -> None:
    """Raise UsageError if the norm or estimator does not exist, or if there are too few classes for a boundary."""
    from dfal_cli.margins import ESTIMATORS
    from dfal_cli.margins.norms import NORMS

    _must_be_in("estimator", estimator, ESTIMATORS)
    _must_be_in("norm", norm, NORMS)
    if classes is not None and classes < 2:
        raise UsageError("--classes: must be at least 2: the predicted class and one other")


def _must_be_in(option: str, value: str, names: Collection[str]) -> None:
    if value not in names:
        raise unknown_name(f"--{option}", value, names)

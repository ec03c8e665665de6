"""Checks of the options of `dfal score`."""

from dfal_cli.errors import UsageError
from dfal_cli.margins import ESTIMATORS
from dfal_cli.margins.norms import NORMS
from dfal_cli.measures import MEASURES
from dfal_cli.schemas import SCORES_COLUMNS
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.paths import must_be_regular, must_end_with
from dfal_cli.tables.scores import SUFFIXES


def check(options: ScoreOptions) -> None:
    """Raise UsageError if an option is invalid."""
    must_end_with(options.out, SUFFIXES, "--out")
    must_be_regular(options.checkpoint, "--checkpoint")
    check_margin(options.norm, options.estimator, options.classes)
    for name in options.measure:
        if name in SCORES_COLUMNS:
            raise UsageError(f"--measure {name}: every scores file contains it already; remove the option")
        if name not in MEASURES:
            raise UsageError(f"--measure {name}: use any of {', '.join(MEASURES)}")
        if MEASURES[name].vector and options.out.suffix.lower() == ".csv":
            raise UsageError(f"--measure {name}: CSV cannot hold vectors: use a .parquet output")
    if options.twins_dir and not options.twins:
        raise UsageError("--twins-dir: has no effect without --twins N")
    if options.nearest is not None and options.twins > options.nearest:
        raise UsageError(
            f"--twins {options.twins}: only the --nearest {options.nearest} margins are computed; use a smaller number"
        )


def check_margin(norm: str, estimator: str, classes: int | None) -> None:
    """Raise UsageError if the norm or estimator does not exist, or if there are too few classes for a boundary."""
    for name, value, table in (("estimator", estimator, ESTIMATORS), ("norm", norm, NORMS)):
        if value not in table:
            raise UsageError(f"--{name} {value}: use one of {', '.join(table)}")
    if classes is not None and classes < 2:
        raise UsageError("--classes: must be at least 2: the predicted class and one other")

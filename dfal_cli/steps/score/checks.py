"""Which options of `dfal score` are refused."""

from dfal_cli.errors import UsageError
from dfal_cli.margins import ESTIMATORS
from dfal_cli.margins.norms import NORMS
from dfal_cli.measures import MEASURES
from dfal_cli.schemas import SCORES_COLUMNS
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.paths import must_be_regular, must_end_with
from dfal_cli.tables.scores import SUFFIXES


def check(options: ScoreOptions) -> None:
    """Raises UsageError if an option is wrong by itself."""
    must_end_with(options.out, SUFFIXES, "--out")
    must_be_regular(options.checkpoint, "--checkpoint")
    check_margin(options.norm, options.estimator, options.classes)
    for name in options.measure:
        if name not in MEASURES:
            others = f"use some of {', '.join(MEASURES)}"
            raise UsageError(f"--measure {name}: {'every scores file has it' if name in SCORES_COLUMNS else others}")
        if MEASURES[name].vector and options.out.suffix.lower() == ".csv":
            raise UsageError(f"--measure {name}: a vector an image, which CSV cannot hold; let --out end in .parquet")
    if options.twins_dir and not options.twins:
        raise UsageError("--twins-dir: no twins are kept without --twins N")
    if options.nearest is not None and options.twins > options.nearest:
        raise UsageError(
            f"--twins {options.twins}: only the --nearest {options.nearest} images are sure to have a margin"
        )


def check_margin(norm: str, estimator: str, classes: int | None) -> None:
    """Raises UsageError if there is no such norm or estimator, or if so few classes have no boundary."""
    for name, value, table in (("estimator", estimator, ESTIMATORS), ("norm", norm, NORMS)):
        if value not in table:
            raise UsageError(f"--{name} {value}: use one of {', '.join(table)}")
    if classes is not None and classes < 2:
        raise UsageError("--classes: at least 2, the predicted class and one other")

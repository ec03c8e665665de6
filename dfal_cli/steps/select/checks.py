"""Checks of the options of `dfal select`."""

from dfal_cli.errors import UsageError
from dfal_cli.schemas import META_SUFFIX, PSEUDO_SUFFIX
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.files import beside
from dfal_cli.system.paths import check_paths, must_end_with
from dfal_cli.tables import refuse_foreign_files

COMPANIONS = (META_SUFFIX, PSEUDO_SUFFIX)
"""Suffixes of the files beside a query list."""


def check(options: SelectOptions) -> None:
    """Raise UsageError if an option is invalid, an input is missing, or an output would overwrite a foreign file."""
    must_end_with(options.out, (".csv",), "--out")
    if options.preview:
        must_end_with(options.preview, (".html", ".htm"), "--preview")
    companions = [beside(options.out, suffix) for suffix in COMPANIONS]
    check_paths(
        {"--scores": [options.scores], "--labels": options.labels, "--exclude": options.exclude},
        {"--out": [options.out, *companions], "--preview": [options.preview]},
        {"--images": options.images},
    )
    if not options.force:
        refuse_foreign_files(options.out, COMPANIONS)
    if options.strategy not in STRATEGIES:
        raise UsageError(f"--strategy {options.strategy}: use one of {', '.join(STRATEGIES)}")
    if options.count < 1:
        raise UsageError(f"--count {options.count}: must be at least 1")
    if options.scores is None and options.images is None:
        raise UsageError("use --scores, or --images with --strategy random before anything is trained")
    if options.scores is None and options.strategy != "random":
        raise UsageError(f"--strategy {options.strategy}: requires --scores; without scores use --strategy random")
    if options.scores is None and options.with_predictions:
        raise UsageError("--with-predictions: requires --scores, because --images alone have no predictions")

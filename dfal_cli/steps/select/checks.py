"""Which options of `dfal select` are refused."""

from dfal_cli.errors import UsageError
from dfal_cli.schemas import META_SUFFIX, PSEUDO_SUFFIX
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.files import beside
from dfal_cli.system.paths import check_paths, must_end_with
from dfal_cli.tables import refuse_foreign_files

COMPANIONS = (META_SUFFIX, PSEUDO_SUFFIX)
"""What stands beside a query list."""


def check(options: SelectOptions) -> None:
    """Raises UsageError if an option is wrong by itself, or names what is not there or is in the way."""
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
        raise UsageError(f"--count {options.count}: ask about at least one image")
    if options.scores is None and options.images is None:
        raise UsageError("name either --scores, or --images with --strategy random when nothing is trained yet")
    if options.scores is None and options.strategy != "random":
        raise UsageError(f"--strategy {options.strategy} needs --scores; only random can pick from --images alone")
    if options.scores is None and options.with_predictions:
        raise UsageError("--with-predictions needs --scores: nothing has been predicted of --images alone")

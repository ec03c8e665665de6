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
        {
            "--scores": [options.scores], "--embeddings": [options.embeddings],
            "--labels": options.labels, "--exclude": options.exclude,
        },
        {"--out": [options.out, *companions], "--preview": [options.preview]},
        {"--images": options.images},
    )  # fmt: skip
    if not options.force:
        refuse_foreign_files(options.out, COMPANIONS)
    if options.strategy not in STRATEGIES:
        raise UsageError(f"--strategy {options.strategy}: use one of {', '.join(STRATEGIES)}")
    if options.count < 1:
        raise UsageError(f"--count {options.count}: must be at least 1")
    if options.scores is None:
        _check_first_list(options)


def _check_first_list(options: SelectOptions) -> None:
    """Raise UsageError if the options need scores, of which there are none before anything is trained."""
    if options.images is None and options.embeddings is None:
        raise UsageError("use --scores; before anything is trained, --embeddings, or --images with --strategy random")
    strategy = STRATEGIES[options.strategy]
    if strategy.needs_network:
        first = ", ".join(name for name, each in STRATEGIES.items() if not each.needs_network)
        alternatives = f"use one of {first}" if options.embeddings else "use --strategy random"
        raise UsageError(f"--strategy {options.strategy}: requires --scores; without scores {alternatives}")
    if strategy.needs and options.embeddings is None:
        raise UsageError(f"--strategy {options.strategy}: requires --embeddings or --scores; without use random")
    if options.with_predictions:
        raise UsageError("--with-predictions: requires --scores, because images alone have no predictions")

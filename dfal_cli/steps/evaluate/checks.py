"""Checks of the options of `dfal evaluate`."""

from dfal_cli.errors import UsageError
from dfal_cli.steps.evaluate.options import EvaluateOptions
from dfal_cli.steps.option import given_options, no_effect
from dfal_cli.steps.option_groups import may_be_folder
from dfal_cli.system.paths import check_paths, must_be_regular, must_end_with

ONLY_OF_IMAGES = frozenset({"cache", "cache_limit", "arch", "trust_code", "device", "workers"})
"""Options without meaning for embeddings."""


def check(options: EvaluateOptions) -> None:
    """Raise UsageError if an option is invalid."""
    if (options.images is None) == (options.embeddings is None):
        raise UsageError("use either --images or --embeddings")
    if not options.test:
        raise UsageError("--test: name a labels file")
    must_be_regular(options.checkpoint, "--checkpoint")
    if options.embeddings is not None:
        for given in given_options(options):
            if given.name in ONLY_OF_IMAGES:
                raise no_effect(given.spelling, "with --embeddings")
    if options.out is not None:
        must_end_with(options.out, (".html",), "--out")
    check_paths(
        {
            "--embeddings": [options.embeddings], "--checkpoint": [options.checkpoint],
            "--test": options.test, "--exclude": options.exclude,
        },
        {"--out": [options.out]},
        {"--images": options.images},
        may_be_folder,
    )  # fmt: skip

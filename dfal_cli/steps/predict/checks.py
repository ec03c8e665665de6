"""Checks of the options of `dfal predict`."""

from dfal_cli.errors import UsageError
from dfal_cli.schemas import META_SUFFIX, UNREADABLE_SUFFIX
from dfal_cli.steps.option import given_options, no_effect
from dfal_cli.steps.option_groups import may_be_folder
from dfal_cli.steps.predict.options import PredictOptions
from dfal_cli.system.files import beside
from dfal_cli.system.paths import check_paths, must_be_outside, must_be_regular, must_end_with
from dfal_cli.tables import refuse_foreign_files
from dfal_cli.tables.streamed import SUFFIXES, is_csv

ONLY_OF_IMAGES = frozenset({
    "max_unreadable", "cache", "cache_limit", "arch", "trust_code", "device", "workers", "batch_size",
})  # fmt: skip
"""Options without meaning for embeddings."""


def check(options: PredictOptions) -> None:
    """Raise UsageError if an option is invalid, or if an output must not be written."""
    if (options.images is None) == (options.embeddings is None):
        raise UsageError("use either --images or --embeddings")
    must_end_with(options.out, SUFFIXES, "--out")
    must_be_regular(options.checkpoint, "--checkpoint")
    if options.embeddings is not None:
        for given in given_options(options):
            if given.name in ONLY_OF_IMAGES:
                raise no_effect(given.spelling, "with --embeddings")
    companions = (META_SUFFIX, UNREADABLE_SUFFIX) if is_csv(options.out) else (UNREADABLE_SUFFIX,)
    check_paths(
        {
            "--embeddings": [options.embeddings], "--checkpoint": [options.checkpoint],
            "--labels": options.labels, "--exclude": options.exclude, "--calibrate": options.calibrate,
        },
        {
            "--out": [options.out, *(beside(options.out, suffix) for suffix in companions)],
            "--to-folder": [options.to_folder],
        },
        {"--images": options.images},
        may_be_folder,
    )  # fmt: skip
    if options.to_folder and options.images:
        must_be_outside(options.to_folder, options.images, "--to-folder")
    if not options.force:
        refuse_foreign_files(options.out, companions)

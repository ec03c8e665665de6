"""Checks of the options of `dfal review`."""

from pathlib import Path

from dfal_cli.errors import UsageError
from dfal_cli.schemas import META_SUFFIX
from dfal_cli.steps.option import given_options, no_effect, options_in
from dfal_cli.steps.option_groups import (
    CacheOptions,
    ComputingOptions,
    NetworkOptions,
    SeedOption,
    TrainingOptions,
    may_be_folder,
)
from dfal_cli.steps.review.options import ReviewOptions
from dfal_cli.system.files import beside
from dfal_cli.system.paths import check_paths, must_end_with
from dfal_cli.tables import refuse_foreign_files

OF_NETWORKS = options_in(TrainingOptions, NetworkOptions, ComputingOptions, CacheOptions, SeedOption) | {
    "weights", "pretrained", "follow_links",
}  # fmt: skip
"""Options without effect on heads. What remains of those of networks is checked by the training."""


def check(options: ReviewOptions) -> None:
    """Raise UsageError if an option is invalid or has no effect, or if a path cannot be used."""
    if (options.images is None) == (options.embeddings is None):
        raise UsageError("use either --images (to train networks) or --embeddings (to train heads on them)")
    if bool(options.labels) == options.labels_from_folders:
        raise UsageError("use either --labels or --labels-from-folders")
    for given in given_options(options):
        if options.embeddings is not None and given.name in OF_NETWORKS:
            raise no_effect(given.spelling, "with --embeddings")
    must_end_with(options.out, (".csv",), "--out")
    inputs: dict[str, list[Path] | list[Path | None]] = {
        "--labels": options.labels, "--exclude": options.exclude, "--embeddings": [options.embeddings],
        "--weights": [options.weights],
    }  # fmt: skip
    outputs = [options.out, beside(options.out, META_SUFFIX)]
    check_paths(inputs, {"--out": outputs}, {"--images": options.images}, may_be_folder)
    if not options.force:
        refuse_foreign_files(options.out, [META_SUFFIX])

"""Checks of the options of `dfal embed`."""

from dfal_cli.errors import UsageError, unknown_name
from dfal_cli.images import check_white
from dfal_cli.images.resize import WAYS
from dfal_cli.schemas import BACKBONE_SUFFIX, UNREADABLE_SUFFIX
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.system.files import beside
from dfal_cli.system.paths import check_paths, must_be_regular, must_end_with
from dfal_cli.tables import refuse_foreign_files

COMPANIONS = (BACKBONE_SUFFIX, UNREADABLE_SUFFIX)
"""Suffixes of the outputs beside the embeddings."""


def check(options: EmbedOptions) -> None:
    """Raise UsageError if an option is invalid, or if an output must not be written."""
    must_end_with(options.out, (".parquet",), "--out")
    check_white(options.white)
    if options.resize is not None and options.resize not in WAYS:
        raise unknown_name("--resize", options.resize, WAYS)
    if options.pretrained and options.weights:
        raise UsageError("--pretrained and --weights: choose one")
    if options.weights:
        must_be_regular(options.weights, "--weights")
    outputs = [options.out, *(beside(options.out, suffix) for suffix in COMPANIONS)]
    check_paths({"--weights": [options.weights]}, {"--out": outputs})
    if not options.force:
        refuse_foreign_files(options.out, COMPANIONS)

"""Checks of the options of `dfal export`."""

from dfal_cli.errors import unknown_name
from dfal_cli.steps.export.options import ExportOptions
from dfal_cli.steps.option import no_effect
from dfal_cli.steps.option_groups import may_be_folder
from dfal_cli.system.paths import check_paths, must_be_outside
from dfal_cli.tables.class_names import check_class_names
from dfal_cli.tables.tools import EXPORTS


def check(options: ExportOptions) -> None:
    """Raise UsageError if an option is invalid or a path cannot be used."""
    if options.to not in EXPORTS:
        raise unknown_name("--to", options.to, EXPORTS)
    if options.copy and not EXPORTS[options.to].holds_images:
        raise no_effect("--copy", f"with --to {options.to}, which names the images where they are")
    inputs = {"--queries": [options.queries], "--labels": options.labels}
    check_paths(inputs, {"--out": [options.out]}, {"--images": options.images}, may_be_folder)
    must_be_outside(options.out, options.images, "--out")
    check_class_names(options.class_names)

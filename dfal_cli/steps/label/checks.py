"""Checks of the options of `dfal label`."""

from dfal_cli.errors import UsageError
from dfal_cli.images import check_white
from dfal_cli.steps.label.options import LabelOptions
from dfal_cli.system.paths import check_paths, must_be_regular, must_end_with
from dfal_cli.tables.class_names import check_class_names


def check(options: LabelOptions) -> None:
    """Raise UsageError if an option is invalid or a path cannot be used."""
    labels = [path for path in options.labels if options.merge is None or path.resolve() != options.merge.resolve()]
    check_paths(
        {"--labels": labels, "--predictions": [options.predictions]},
        {"--queries": [options.queries], "--merge": [options.merge], "--keys": [options.keys_file]},
        {"--images": options.images},
    )
    must_be_regular(options.queries, "--queries")
    for path, option in ((options.queries, "--queries"), (options.merge, "--merge"), (options.keys_file, "--keys")):
        if path is not None:
            must_end_with(path, (".csv",), option)
    if not options.host.strip():
        raise UsageError("--host: name an address to listen on, such as 127.0.0.1")
    check_white(options.white)
    check_class_names(options.class_names)

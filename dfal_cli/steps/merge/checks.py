"""Checks of the options of `dfal merge`."""

from dfal_cli.errors import UsageError, unknown_name
from dfal_cli.steps.merge.missing import LEAVE_OUT, ON_MISSING
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.system.paths import check_paths, must_end_with
from dfal_cli.tables.class_names import class_name_error

ON_CONFLICT = ("error", "keep", "replace")


def check(options: MergeOptions) -> None:
    """Raise UsageError if an option is invalid or a path cannot be used."""
    target_option = "--out" if options.out else "--labels"
    must_end_with(options.target, (".csv",), target_option)
    folders = {"--images": options.images}
    if options.queries.is_dir():
        folders["--queries"] = options.queries
    inputs = {"--queries": [] if "--queries" in folders else [options.queries]}
    check_paths(inputs, {target_option: [options.target]}, folders)
    if options.on_conflict not in ON_CONFLICT:
        raise unknown_name("--on-conflict", options.on_conflict, ON_CONFLICT)
    if options.on_missing not in ON_MISSING:
        raise unknown_name("--on-missing", options.on_missing, ON_MISSING)
    if options.on_missing == LEAVE_OUT and options.images is None:
        raise UsageError("--on-missing leave-out: has no effect without --images")
    problem = class_name_error(tuple(dict.fromkeys(options.class_names or ())))
    if problem is not None:
        raise UsageError(f"--class-names: {problem}")

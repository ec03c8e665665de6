"""Checks of the options of `dfal merge`."""

from dfal_cli.errors import UsageError, unknown_name
from dfal_cli.steps.merge.missing import LEAVE_OUT, ON_MISSING
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.system.paths import check_paths, must_end_with
from dfal_cli.tables import read_tool_answers
from dfal_cli.tables.class_names import check_class_names

ON_CONFLICT = ("error", "keep", "replace", "newest", "majority")
EITHER = (frozenset({"keep", "replace"}), frozenset({"newest", "majority"}))
"""Rules of --on-conflict that exclude each other; one of each kind may be given."""


def check(options: MergeOptions) -> None:
    """Raise UsageError if an option is invalid or a path cannot be used."""
    target_option = "--out" if options.out else "--labels"
    must_end_with(options.target, (".csv",), target_option)
    folders = {"--images": options.images}
    inputs = {"--queries": [options.queries], "--answers": options.answers}
    check_paths(inputs, {target_option: [options.target]}, folders, lambda option, folder: True)
    if options.answers and (options.queries.is_dir() or read_tool_answers(options.queries)):
        raise UsageError("--answers: needs a query list as --queries; name answers without their list as --queries")
    if options.queries.resolve() in {path.resolve() for path in options.answers}:
        raise UsageError(f"--answers {options.queries}: is the list itself (--queries); name another file of answers")
    _check_rules(options)
    if options.on_missing not in ON_MISSING:
        raise unknown_name("--on-missing", options.on_missing, ON_MISSING)
    if options.on_missing == LEAVE_OUT and options.images is None:
        raise UsageError("--on-missing leave-out: has no effect without --images")
    check_class_names(options.class_names)


def _check_rules(options: MergeOptions) -> None:
    """Raise UsageError if --on-conflict has an unknown rule, or rules that exclude each other."""
    rules = options.conflict_rules
    for rule in sorted(rules - {*ON_CONFLICT}):
        raise unknown_name("--on-conflict", rule, ON_CONFLICT)
    if any(rules >= both for both in EITHER) or ("error" in rules and len(rules) > 1):
        raise UsageError(f"--on-conflict {options.on_conflict}: keep or replace, and newest or majority, but not both")

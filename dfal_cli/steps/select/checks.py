"""Checks of the options of `dfal select`."""

from dfal_cli.errors import UsageError, unknown_name
from dfal_cli.schemas import META_SUFFIX, PSEUDO_SUFFIX
from dfal_cli.statistics.stopping import RULES
from dfal_cli.steps.option import no_effect
from dfal_cli.steps.option_groups import may_be_folder
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.files import beside
from dfal_cli.system.paths import check_paths, must_end_with
from dfal_cli.tables import refuse_foreign_files
from dfal_cli.tables.class_names import check_class_names

COMPANIONS = (META_SUFFIX, PSEUDO_SUFFIX)
"""Suffixes of the files beside a query list."""


def check(options: SelectOptions) -> None:
    """Raise UsageError if an option is invalid, an input is missing, or an output would overwrite a foreign file."""
    must_end_with(options.out, (".csv",), "--out")
    _check_preview(options)
    companions = [beside(options.out, suffix) for suffix in COMPANIONS]
    check_paths(
        {
            "--scores": [options.scores], "--embeddings": [options.embeddings],
            "--labels": options.labels, "--exclude": options.exclude,
        },
        {
            "--out": [options.out, *companions], "--preview": [options.preview],
            "--keys": [options.keys_file if options.preview else None],
        },
        {"--images": options.images, "--rounds": options.rounds},
        may_be_folder,
    )  # fmt: skip
    if not options.force:
        refuse_foreign_files(options.out, COMPANIONS)
    if options.strategy and options.strategy not in STRATEGIES:
        raise unknown_name("--strategy", options.strategy, STRATEGIES)
    if options.count < 1:
        raise UsageError(f"--count {options.count}: must be at least 1")
    for rule in options.stop_when or ():
        if rule not in RULES:
            raise unknown_name("--stop-when", rule, RULES)
    if options.rounds and not options.stop_when:
        raise no_effect("--rounds", "without --stop-when")
    if options.scores is None:
        _check_first_list(options)


def _check_preview(options: SelectOptions) -> None:
    """Raise UsageError if the options of the preview page are invalid, or have no page."""
    if options.preview:
        must_end_with(options.preview, (".html", ".htm"), "--preview")
        must_end_with(options.keys_file, (".csv",), "--keys")
    elif options.keys or options.class_names:
        raise no_effect("--keys" if options.keys else "--class-names", "without --preview FILE.html")
    check_class_names(options.class_names)


def _check_first_list(options: SelectOptions) -> None:
    """Raise UsageError if the options need scores, of which there are none before anything is trained."""
    if options.embeddings is None and not (options.images and options.strategy):
        raise UsageError(
            "no scores: use --scores FILE; before anything is trained, use --embeddings FILE, or --images DIR "
            "--strategy random"
        )
    name = options.with_strategy().strategy
    possible = [
        each for each, entry in STRATEGIES.items()
        if not entry.needs_network and (options.embeddings is not None or not entry.needs)
    ]  # fmt: skip
    if name not in possible:
        needed = "--scores" if STRATEGIES[name].needs_network else "--embeddings or --scores"
        others = f"one of {', '.join(possible)}" if len(possible) > 1 else f"--strategy {possible[0]}"
        raise UsageError(f"--strategy {name}: requires {needed}; otherwise use {others}")
    if options.stop_when:
        raise UsageError("--stop-when: requires --scores; before anything is trained, no rule can hold")
    if options.control:
        raise UsageError("--control: requires --scores; before anything is trained, there is nothing to measure")
    if options.with_predictions:
        raise UsageError("--with-predictions: requires --scores, which hold the predictions")

"""Checks of the options of `dfal simulate`."""

from dfal_cli.errors import UsageError
from dfal_cli.images import check_white
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.steps.simulate.outputs import written_in
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.paths import check_paths, must_be_outside, must_exist


def check(options: SimulateOptions) -> None:
    """Raise UsageError if an option is invalid, or if an output would overwrite an input."""
    if options.out.exists():
        must_exist(options.out, "--out", folder=True)
    check_paths(
        {"--labels": options.labels, "--test": options.test},
        {"--out": written_in(options.out)},
        {"--images": options.images},
    )
    must_be_outside(options.out, options.images, "--out")
    check_white(options.white)
    if bool(options.labels) == options.labels_from_folders:
        raise UsageError("use either --labels or --labels-from-folders")
    if not options.strategy_names:
        raise UsageError(f"--strategies: name at least one of {', '.join(STRATEGIES)}")
    for name in options.strategy_names:
        if name not in STRATEGIES:
            raise UsageError(f"--strategies {name}: use any of {', '.join(STRATEGIES)}")
    if options.budget <= options.initial:
        raise UsageError(
            f"--budget {options.budget}: includes the {options.initial} initial labels (--initial); it must be larger"
        )
    if options.candidates is not None and options.candidates < options.count:
        raise UsageError(
            f"--candidates {options.candidates}: fewer than the {options.count} queries per round (--count)"
        )

"""Checks of the options of `dfal simulate`."""

from dfal_cli.errors import UsageError, unknown_name
from dfal_cli.images import check_white
from dfal_cli.steps.option import given_options, no_effect
from dfal_cli.steps.option_groups import may_be_folder
from dfal_cli.steps.simulate.heads import OF_BACKBONES, OF_NETWORKS
from dfal_cli.steps.simulate.options import STARTS, SimulateOptions
from dfal_cli.steps.simulate.outputs import written_in
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.paths import check_paths, must_be_outside, must_be_regular, must_exist

OF_FREEZING = frozenset({"weights", "pretrained", "resize"})
"""Options that only --freeze uses."""


def check(options: SimulateOptions) -> None:
    """Raise UsageError if an option is invalid, or if an output would overwrite an input."""
    if options.out.exists():
        must_exist(options.out, "--out", folder=True)
    check_paths(
        {
            "--embeddings": [options.embeddings], "--weights": [options.weights], "--labels": options.labels,
            "--test": options.test,
        },
        {"--out": written_in(options.out)},
        {"--images": options.images},
        may_be_folder,
    )  # fmt: skip
    if (options.images is None) == (options.embeddings is None):
        raise UsageError("use either --images (to train networks) or --embeddings (to train heads on them)")
    if options.images is not None:
        must_be_outside(options.out, options.images, "--out")
    if options.weights is not None:
        must_be_regular(options.weights, "--weights")
    check_white(options.white)
    if bool(options.labels) == options.labels_from_folders:
        raise UsageError("use either --labels or --labels-from-folders")
    _check_kind(options)
    _check_strategies(options)


def _check_kind(options: SimulateOptions) -> None:
    """Raise UsageError if an option has no effect on what is trained."""
    way, without_effect = "without --freeze", OF_FREEZING
    if options.embeddings is not None:
        way, without_effect = "with --embeddings", OF_NETWORKS | OF_BACKBONES
    elif options.freeze:
        way, without_effect = "with --freeze", OF_NETWORKS
    elif options.arch is not None:
        from dfal_cli.models.backbone_names import must_be_no_backbone

        must_be_no_backbone(options.arch, "--arch")
    for given in given_options(options):
        if given.name in without_effect:
            raise no_effect(given.spelling, way)
    if options.start_name not in STARTS:
        raise unknown_name("--start", options.start, STARTS)
    if STRATEGIES[options.start_name].needs and not options.trains_heads:
        raise UsageError(f"--start {options.start}: requires --embeddings or --freeze; use --start random")


def _check_strategies(options: SimulateOptions) -> None:
    if not options.strategy_names:
        raise UsageError(f"--strategies: name at least one of {', '.join(STRATEGIES)}")
    for name in options.strategy_names:
        if name not in STRATEGIES:
            raise unknown_name("--strategies", name, STRATEGIES, "use any of")
    if options.trains_heads:
        from dfal_cli.margins.linear import NORMS
        from dfal_cli.measures.linear import LINEAR_MEASURES, NOT_LINEAR
        from dfal_cli.schemas import EMBEDDING

        if options.norm not in NORMS:
            raise unknown_name("--norm", options.norm, NORMS)
        for name in options.strategy_names:
            for measure in {*STRATEGIES[name].needs} - {*LINEAR_MEASURES, EMBEDDING}:
                raise UsageError(f"--strategies {name}: {NOT_LINEAR[measure]}")

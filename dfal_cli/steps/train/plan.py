"""The plan of a training: network, input format and recipe, from the options or chosen to suit the images."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from dfal_cli.checkpoint import load_checkpoint, read_checkpoint_metadata, trusted_architecture
from dfal_cli.errors import UsageError
from dfal_cli.images import ImageSource, InputFormat
from dfal_cli.models import Network
from dfal_cli.models.backbones import Backbone
from dfal_cli.models.metadata import input_format_of, is_head
from dfal_cli.steps.train.frozen import chosen_backbone
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.architecture import default_architecture
from dfal_cli.training.defaults import Recipe, are_photos, fill_defaults, fill_finetuning_defaults, recipe_of
from dfal_cli.training.examples import Examples
from dfal_cli.training.finetuning import fitted_start
from dfal_cli.training.input_format import InputOptions, choose_input_format, probe_images
from dfal_cli.training.starting import (
    InitialWeights,
    new_network,
    prepare_networks,
    weights_from_options,
    weights_of_checkpoint,
)
from dfal_cli.training.team import Team

Start = Callable[[int, Examples, Team], Network]
"""(seed, training examples, processes that call it together) -> an initial network."""


class Plan(NamedTuple):
    """What is trained, and how."""

    architecture: str
    input_format: InputFormat
    recipe: Recipe
    backbone: Backbone | None = None
    """The pretrained network to fine-tune; None for other networks."""
    photos_from_scratch: bool = False


def plan_training(options: TrainOptions, images: ImageSource, labels: pd.DataFrame, reporter: Reporter) -> Plan:
    """Complete the options from the headers of the labelled images, or from the checkpoint of --init.

    Raises UsageError if the code of the checkpoint is not trusted, DataError if the checkpoint or an image is invalid.
    """
    if options.finetune:
        with reporter.busy("loading the backbone"):
            backbone = chosen_backbone(options)
        recipe = recipe_of(fill_finetuning_defaults(options))
        return Plan(backbone.name, backbone.input_format, recipe, backbone)
    if options.init:
        if is_head(read_checkpoint_metadata(options.init, "--init")):
            raise UsageError(f"{options.init}: holds a head on a frozen network, which --init cannot continue")
        arch = trusted_architecture(
            options.init, trust_code=options.trust_code, architecture=options.arch, option="--init"
        )
        input_format = input_format_of(read_checkpoint_metadata(options.init))
        return Plan(arch, input_format, recipe_of(fill_defaults(options, (), from_scratch=False)))
    from_scratch = not (options.weights or options.pretrained)
    probes = probe_images(images, labels, reporter)
    completed = fill_defaults(options, probes.values(), from_scratch=from_scratch)
    input_options = InputOptions(completed.image_size, completed.grey, completed.white)
    input_format = choose_input_format(images, probes, input_options, options.workers, reporter)
    arch = completed.arch or default_architecture(input_format.shape)
    photos_from_scratch = from_scratch and are_photos(probes.values())
    return Plan(arch, input_format, recipe_of(completed), photos_from_scratch=photos_from_scratch)


def report_choices(plan: Plan, options: TrainOptions, reporter: Reporter) -> None:
    """Report the values that were chosen automatically, with the options that change them."""
    if plan.backbone:
        _, height, width = plan.input_format.shape
        name, how = plan.architecture, plan.input_format.resize.how
        reporter.note(f"fine-tuning {name} at {width}x{height} ({how}), {plan.recipe.epochs} epochs (--epochs)")
        return
    (channels, height, width), white, _ = plan.input_format
    if not options.init and (options.image_size is None or options.grey is None):
        kind = "grey" if channels == 1 else "colour"
        reporter.note(f"input: {width}x{height} {kind}, from the labelled images (--image-size, --gray, --color)")
    if not options.init and options.white != white:
        reporter.note(f"white: {white:g}, from the labelled images (--white)")
    if not options.init and options.arch is None:
        reporter.note(f"network: {plan.architecture} (--arch)")
    for name in ("patience", "monitor", "augment"):
        if getattr(options, name) is None:
            reporter.note(f"{name}: {getattr(plan.recipe, name)} (--{name})")


def initial_networks(
    plan: Plan, options: TrainOptions, classes: tuple[str, ...], first_seed: int, reporter: Reporter
) -> Start:
    """A function that makes initial networks.

    The network of `first_seed` is built now, so that errors show early; one to fine-tune is loaded already.

    Raises UsageError or DataError if the network cannot be built or its weights cannot be loaded.
    """
    if plan.backbone:
        backbone = plan.backbone
        return lambda seed, training, team: fitted_start(backbone, training, len(classes), reporter, team)
    arch, shape = plan.architecture, plan.input_format.shape
    checkpoint = None
    if options.init:
        checkpoint = load_checkpoint(
            options.init, trust_code=options.trust_code, architecture=options.arch, option="--init"
        )
        if checkpoint.classes != classes:
            names = ", ".join(checkpoint.classes)
            reporter.note(f"{options.init} has other classes ({names}); the last layer is initialised at random")

    def initial_weights(network: Network) -> InitialWeights | None:
        if options.init and checkpoint:
            return weights_of_checkpoint(checkpoint, options.init, classes)
        return weights_from_options(network, arch, options.weights, options.pretrained)

    def build(seed: int) -> Network:
        return new_network(arch, len(classes), shape, seed)

    new = prepare_networks(build, initial_weights, first_seed, reporter)
    return lambda seed, training, team: new(seed)

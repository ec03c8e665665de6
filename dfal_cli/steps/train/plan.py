"""The plan of a training: network, input format and recipe, from the options or chosen to suit the images."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from dfal_cli.checkpoint import load_checkpoint, read_checkpoint_metadata, trusted_architecture
from dfal_cli.images import ImageSource, InputFormat
from dfal_cli.models import Network
from dfal_cli.models.metadata import input_format_of
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.architecture import default_architecture
from dfal_cli.training.defaults import Recipe, fill_defaults, recipe_of
from dfal_cli.training.input_format import InputOptions, choose_input_format, probe_images
from dfal_cli.training.starting import (
    InitialWeights,
    new_network,
    prepare_networks,
    weights_from_options,
    weights_of_checkpoint,
)


class Plan(NamedTuple):
    """What is trained, and how."""

    architecture: str
    input_format: InputFormat
    recipe: Recipe


def plan_training(options: TrainOptions, images: ImageSource, labels: pd.DataFrame, reporter: Reporter) -> Plan:
    """Complete the options from the headers of the labelled images, or from the checkpoint of --init.

    Raises UsageError if the code of the checkpoint is not trusted, DataError if the checkpoint or an image is invalid.
    """
    if options.init:
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
    return Plan(arch, input_format, recipe_of(completed))


def report_choices(plan: Plan, options: TrainOptions, reporter: Reporter) -> None:
    """Report the values that were chosen automatically, with the options that change them."""
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
) -> Callable[[int], Network]:
    """A function from seeds to initial networks; the one of `first_seed` is built now, so that errors show early.

    Raises UsageError or DataError if the network cannot be built or its weights cannot be loaded.
    """
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

    return prepare_networks(build, initial_weights, first_seed, reporter)

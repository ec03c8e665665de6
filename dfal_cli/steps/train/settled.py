"""What is trained, and how: as the options say, else as suits the images."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfal_cli.checkpoint import load_checkpoint, read_checkpoint_metadata, trusted_architecture
from dfal_cli.images import ImageSource, InputFormat
from dfal_cli.models import Network
from dfal_cli.models.architecture import default_architecture
from dfal_cli.models.metadata import input_format_of
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.defaults import Recipe, fill_defaults, recipe_of
from dfal_cli.training.input_format import InputOptions, choose_input_format, probe_images
from dfal_cli.training.starting import (
    InitialWeights,
    new_network,
    prepare_networks,
    weights_from_options,
    weights_of_checkpoint,
)


class Settled(NamedTuple):
    """What is trained, and how."""

    architecture: str
    input_format: InputFormat
    how: Recipe


def settle(options: TrainOptions, images: ImageSource, labels: pd.DataFrame, reporter: Reporter) -> Settled:
    """Settle what the options leave open, by the headers of the labelled images or by the checkpoint of --init.

    Raises UsageError or DataError, as `trusted_architecture` of that checkpoint or if an image cannot be read.
    """
    from_scratch = not (options.init or options.weights or options.pretrained)
    if options.init:
        arch, input_format = _input_of_init(options.init, options)
        return Settled(arch, input_format, recipe_of(fill_defaults(options, (), from_scratch=False)))
    probes = probe_images(images, labels, reporter)
    suited = fill_defaults(options, probes.values(), from_scratch=from_scratch)
    told = InputOptions(suited.image_size, suited.grey, suited.white)
    input_format = choose_input_format(images, probes, told, options.workers, reporter)
    arch = suited.arch or default_architecture(input_format.shape)
    return Settled(arch, input_format, recipe_of(suited))


def say_what_was_settled(settled: Settled, options: TrainOptions, reporter: Reporter) -> None:
    """Say what nobody has asked for in so many words, and by which options to ask for something else."""
    (channels, height, width), white = settled.input_format
    if not options.init and (options.image_size is None or options.grey is None):
        kind = "grey" if channels == 1 else "colour"
        reporter.note(f"input: {width}x{height} {kind}, by the labelled images (--image-size, --gray, --color)")
    if not options.init and options.white != white:
        reporter.note(f"white: {white:g}, by the labelled images (--white)")
    if not options.init and options.arch is None:
        reporter.note(f"network: {settled.architecture} (--arch)")
    for name in ("patience", "monitor", "augment"):  # what is split off shows in the counts
        if getattr(options, name) is None:
            reporter.note(f"{name}: {getattr(settled.how, name)} (--{name})")


def prepared_start(
    settled: Settled, options: TrainOptions, classes: tuple[str, ...], first_seed: int, reporter: Reporter
) -> Callable[[int], Network]:
    """The function that makes the network to train from a seed; the first one is built, with its weights in place.

    Raises UsageError or DataError if it cannot be.
    """
    arch, (shape, _), _ = settled
    before = None
    if options.init:
        before = load_checkpoint(
            options.init, trust_code=options.trust_code, architecture=options.arch, option="--init"
        )
        if before.classes != classes:
            reporter.note(f"{options.init} knows other classes ({', '.join(before.classes)}); the head starts anew")

    def origin(network: Network) -> InitialWeights | None:
        if options.init and before:
            return weights_of_checkpoint(before, options.init, classes)
        return weights_from_options(network, arch, options.weights, options.pretrained)

    return prepare_networks(lambda seed: new_network(arch, len(classes), shape, seed), origin, first_seed, reporter)


def _input_of_init(init: Path, options: TrainOptions) -> tuple[str, InputFormat]:
    """Architecture of the checkpoint, and how images were made into pixels for it."""
    arch = trusted_architecture(init, trust_code=options.trust_code, architecture=options.arch, option="--init")
    return arch, input_format_of(read_checkpoint_metadata(init))

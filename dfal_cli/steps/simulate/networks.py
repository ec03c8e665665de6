"""Simulations that train networks on images."""

import contextlib
import functools
import importlib.metadata
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dfal_cli.errors import DataError, UsageError
from dfal_cli.images import (
    ImageError,
    PreparedImages,
    Probe,
    Shape,
    UnreadableImagesError,
    common_shape,
    prepare,
    probe_image,
    resolve_image,
)
from dfal_cli.schemas import IMAGE, LABEL, UNREADABLE_COLUMNS
from dfal_cli.steps.simulate.contents import Contents, contents_of_images
from dfal_cli.steps.simulate.inputs import Available, Inputs, and_more, available_images, skip_remedy
from dfal_cli.steps.simulate.kind import Described, InputShape
from dfal_cli.steps.simulate.machine import Machine
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.steps.simulate.outputs import ROUNDS, UNREADABLE
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import write_rows
from dfal_cli.training.architecture import code_sha256, default_architecture
from dfal_cli.training.defaults import fill_defaults
from dfal_cli.training.remedies import what_to_try

PROBED_IMAGES = 100
"""Number of images of the oracle that decide the defaults of the training options."""
FOR_HEADS = frozenset({"start", "freeze", "weights", "pretrained", "resize", "embeddings"})


class Networks:
    """The kind of simulation that trains a network on images in each round, with the steps of the commands."""

    module = "dfal_cli.steps.simulate.rounds"
    whole_runs = False
    axes = 3
    hashed = "images"

    def device(self, options: SimulateOptions) -> str:
        """The device that the networks are trained on."""
        return options.device

    def available(self, options: SimulateOptions) -> Available:
        """The images under the image root."""
        return available_images(options)

    def completed(self, options: SimulateOptions, inputs: Inputs) -> SimulateOptions:
        """The options with the training defaults that suit the images of the oracle."""
        probes = itertools.islice(_probed(options, inputs.oracle[IMAGE]), PROBED_IMAGES)
        return fill_defaults(options, list(probes), from_scratch=True)

    def contents(self, options: SimulateOptions, inputs: Inputs, stored: Path, reporter: Reporter) -> Contents:
        """Hashes of the image files."""
        assert options.images is not None  # guaranteed by `check`
        return contents_of_images(options.images, inputs.images, inputs.tested, options.workers, stored, reporter)

    def made_with(self, options: SimulateOptions) -> dict[str, Any]:
        """The version of torch, and the code of networks of the user's own."""
        code = [code_sha256(name) for name in (options.arch, options.train_arch)]
        return {"torch": importlib.metadata.version("torch"), "code": code}

    def check(self, options: SimulateOptions, inputs: Inputs, machine: Machine) -> None:
        """Build and measure the networks, for the input shape of the first readable image."""
        self._check_networks(options, inputs, presumed_shape(options, inputs.oracle), machine)

    def prepare(
        self, options: SimulateOptions, inputs: Inputs, machine: Machine, reporter: Reporter
    ) -> tuple[PreparedImages, Shape]:
        """Decode the images."""
        images = _decode_images(options, inputs, reporter)
        if images.shape != presumed_shape(options, inputs.oracle):
            self._check_networks(options, inputs, images.shape, machine)
        return images, images.shape

    def describe(self, shape: InputShape) -> Described:
        """The network and its input."""
        channels, height, width = shape
        return Described(
            chosen={"arch": default_architecture((channels, height, width))},
            without_effect=FOR_HEADS,
            facts={
                "input": f"{height} × {width}, {'grey' if channels == 1 else 'colour'}",
                "torch": importlib.metadata.version("torch"),
            },
            remedies=what_to_try((channels, height, width), at_last_epoch=None, may_start_pretrained=False),
        )

    def _check_networks(self, options: SimulateOptions, inputs: Inputs, shape: Shape, machine: Machine) -> None:
        """Raise UsageError if the networks cannot be trained and scored as the options say."""
        classes = inputs.oracle[LABEL].nunique()
        machine.call(functools.partial(_check_networks, options, inputs.strategies, classes, shape))


def presumed_shape(options: SimulateOptions, oracle: pd.DataFrame) -> Shape:
    """(C, H, W) of the networks' input, judged by the first readable image."""
    first = itertools.islice(_probed(options, oracle[IMAGE]), 1)
    return common_shape(first, options.image_size, options.grey)


def _probed(options: SimulateOptions, images: "pd.Series[str]") -> Iterator[Probe]:
    """Yield the probes of the images that can be read."""
    assert options.images is not None  # guaranteed by `check`
    for image in images:
        with contextlib.suppress(ImageError):
            yield probe_image(resolve_image(options.images, image, follow_links=options.follow_links))


def _decode_images(options: SimulateOptions, inputs: Inputs, reporter: Reporter) -> PreparedImages:
    """Decode all images. If some cannot be read, list them in a file and raise DataError."""
    assert options.images is not None  # guaranteed by `check`
    listing = options.out / UNREADABLE
    try:
        images = prepare(
            options.images, inputs.oracle[IMAGE], inputs.test[IMAGE],
            image_size=options.image_size, grey=options.grey, white=options.white, follow_links=options.follow_links,
            folder=options.out / ROUNDS, workers=options.workers, reporter=reporter,
        )  # fmt: skip
    except UnreadableImagesError as error:
        write_rows(listing, UNREADABLE_COLUMNS, error.unreadable)
        names = [image for image, _ in error.unreadable]
        raise DataError(
            f"{and_more(names)} cannot be read (see {listing} for the reasons); {skip_remedy(inputs, names)}"
        ) from None
    listing.unlink(missing_ok=True)
    return images


def _check_networks(options: SimulateOptions, strategies: Sequence[str], classes: int, shape: Shape) -> None:
    """Check early what only training and scoring would find. Raises UsageError that names the option."""
    import torch

    from dfal_cli.models import build_network, seeded
    from dfal_cli.steps.score.checks import check_margin
    from dfal_cli.steps.train.checks import check_training
    from dfal_cli.training.architecture import default_architecture

    check_training(options.augment, options.monitor, options.lr)
    check_margin(options.norm, options.estimator, options.classes)
    arch = options.arch or default_architecture(shape)
    with seeded(0, torch.device("cpu")):
        network = build_network(arch, classes, shape)
        if options.train_arch:
            build_network(options.train_arch, classes, shape, "--train-arch")
    for strategy in strategies:
        _check_measures(strategy, network, arch)


def _check_measures(strategy: str, network: Any, arch: str) -> None:
    from dfal_cli.measures import MEASURES, Settings
    from dfal_cli.strategies import STRATEGIES

    for name in STRATEGIES[strategy].needs:
        try:
            MEASURES[name].prepare(network, Settings(arch, passes=1, seed=0, warn=lambda text: None))
        except UsageError as error:
            raise UsageError(str(error).replace(f"--measure {name}", f"--strategies {strategy}", 1)) from None

"""train: a classifier from labelled images and their twins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from dfal_cli import __version__
from dfal_cli.architecture import default_architecture
from dfal_cli.checkpoint import (
    LoadedNetwork,
    load_checkpoint,
    read_checkpoint_metadata,
    save_checkpoint,
    trusted_architecture,
)
from dfal_cli.console import Reporter
from dfal_cli.device import choose_device
from dfal_cli.differences import how_else, origin
from dfal_cli.errors import UsageError
from dfal_cli.files import locked, settings_of, sha256_if_there
from dfal_cli.images import ImageSource, Shape, opened
from dfal_cli.models import Network
from dfal_cli.path_options import check_paths, must_be_regular, must_end_with
from dfal_cli.pool import names_of
from dfal_cli.result import Result, up_to_date
from dfal_cli.training.augment import AUGMENTATIONS
from dfal_cli.training.examples import Examples, load_examples, settle_input_shape
from dfal_cli.training.fitting import MONITORS, Schedule, best_epoch, split_images
from dfal_cli.training.label_sets import LabelSets, read_label_sets
from dfal_cli.training.made_from import OTHERWISE, made_from
from dfal_cli.training.metrics import metrics_of, show_metrics, summary_of
from dfal_cli.training.restarts import Restarts
from dfal_cli.training.starting import starting_network
from dfal_cli.training.state import TrainingState

WITHOUT_EFFECT = ("out", "device", "workers", "cache", "cache_limit", "wait", "force")
"""Options that do not shape the checkpoint."""


@dataclass(frozen=True)
class TrainOptions:
    """The options of `dfal train`; their help stands in the command."""

    images: Path
    labels: list[Path]
    out: Path
    pseudo_labels: list[Path] = field(default_factory=list)
    arch: str | None = None
    init: Path | None = None
    class_names: Sequence[str] | None = None
    image_size: int | None = None
    grey: bool | None = None
    epochs: int = 100
    lr: float = 1e-3
    batch_size: int = 32
    validation: list[Path] = field(default_factory=list)
    validation_fraction: float = 0.2
    test: list[Path] = field(default_factory=list)
    patience: int = 5
    monitor: str = "loss"
    restarts: int = 1
    augment: str = "none"
    twins: bool = True
    pretrained: bool = False
    weights: Path | None = None
    mixed_precision: bool = True
    trust_code: bool = False
    seed: int = 0
    device: str = "auto"
    workers: int | None = None
    cache: Path | None = None
    cache_limit: str = "10GB"
    wait: float = 0.0
    force: bool = False


def train(options: TrainOptions, reporter: Reporter, images: ImageSource | None = None) -> Result:
    """Train a network and write it as a checkpoint, the best epoch of the best restart.

    `images` stand in for the folder `options.images`.
    Raises UsageError, DataError or TryAgainError as the command documents.
    """
    _check(options)
    with (
        locked(options.out, options.wait, reporter.note),  # first: what is read is read when it is this call's turn
        opened(images, options.images, options.cache, options.cache_limit, reporter) as source,
    ):
        # Hashed as they are now: while a training goes on, answers may be merged into them.
        hashes = {
            f"{name}_sha256": [sha256_if_there(path) for path in paths]
            for name, paths in (("labels", options.labels), ("pseudo_labels", options.pseudo_labels))
        }
        sets = read_label_sets(
            options.labels, options.validation, options.test, options.pseudo_labels, options.class_names,
            reporter, names_of(source).renamed,
        )  # fmt: skip
        classes = sets.classes
        shaped_by = _made_from(options, source, sets)
        told = origin(shaped_by)
        device = choose_device(options.device)
        state = TrainingState(options.out, told["made_from"], device, reporter)
        if options.out.exists() and not options.force:
            there = _already_there(options.out, shaped_by)
            state.remove()
            return there
        shape, arch, before = _settle_network(options, source, sets.labels, classes, reporter)

        def load(table: pd.DataFrame, with_twins: bool) -> Examples:
            return load_examples(
                source, table, classes, shape,
                with_twins=with_twins, workers=options.workers, reporter=reporter,
            )  # fmt: skip

        def start(seed: int) -> Network:
            return starting_network(
                arch, classes, shape, seed, reporter,
                init=options.init, before=before, weights=options.weights, pretrained=options.pretrained,
            ).to(device)  # fmt: skip

        labelled = load(sets.labels, options.twins)
        training, validation = _split(options, labelled, sets, load)
        if options.pseudo_labels:
            training = training.followed_by(load(sets.pseudo_labels, False))
        reporter.note(
            f"training {arch} on {len(training.labels)} images and {len(training.twin_of)} twins, "
            f"{len(classes)} classes, {device.type}"
        )
        restarts = Restarts(start, _seeds(options), _schedule(options), state, reporter)
        model, histories, chosen = restarts.train(training, validation)
        test = load(sets.test, False) if options.test else None
        best = best_epoch(histories[chosen], options.monitor)
        metrics = {
            "restart": chosen + 1,
            "epochs": sum(map(len, histories)),
            **metrics_of(model, best, classes, reporter, validation=validation, test=test),
        }
        counts = {
            "labelled": len(labelled.labels), "pseudo": len(sets.pseudo_labels), "twins": len(labelled.twin_of),
            "training": len(training.labels),
        }  # fmt: skip
        further = {
            "seed": options.seed, **hashes, "metrics": metrics, "counts": counts, **told,
            "dfal": __version__,
        }  # fmt: skip
        state.make_room_for(
            lambda: save_checkpoint(
                options.out, model, architecture=arch, classes=classes, input_shape=shape, further=further
            )
        )
        state.remove()
    show_metrics(metrics, classes, reporter)
    history = [{"restart": k, **epoch._asdict()} for k, epochs in enumerate(histories, 1) for epoch in epochs]
    return Result([options.out], summary_of(metrics), counts, {**metrics, "classes": classes, "history": history})


def _check(options: TrainOptions) -> None:
    must_end_with(options.out, (".safetensors",), "--out")
    if not options.labels:
        raise UsageError("--labels: name at least one labels file")
    check_training(options.augment, options.monitor)
    if options.pretrained and options.weights:
        raise UsageError("--pretrained and --weights: choose one")
    if options.init and (options.pretrained or options.weights):
        raise UsageError("--init continues from its own weights: leave out --pretrained and --weights")
    inputs: dict[str, list[Path] | list[Path | None]] = {
        "--labels": options.labels, "--pseudo-labels": options.pseudo_labels, "--validation": options.validation,
        "--test": options.test,
        "--init": [options.init],  # or the same command, called again, would train on from its own result
        "--weights": [options.weights],
    }  # fmt: skip
    check_paths(inputs, {"--out": [options.out]}, {"--images": options.images})
    for path, option in ((options.init, "--init"), (options.weights, "--weights")):
        if path:
            must_be_regular(path, option)


def check_training(augment: str, monitor: str) -> None:
    """Raises UsageError if there is no such augmentation or monitor."""
    for name, value, table in (("augment", augment, AUGMENTATIONS), ("monitor", monitor, MONITORS)):
        if value not in table:
            raise UsageError(f"--{name} {value}: use one of {', '.join(table)}")


def _made_from(options: TrainOptions, images: ImageSource, sets: LabelSets) -> dict[str, Any]:
    """Raises as `load_checkpoint` of --init."""
    paths = ("images", "labels", "validation", "test", "pseudo_labels", "init", "weights")
    settings = settings_of(options, without=(*WITHOUT_EFFECT, *paths))
    starts = {"init": options.init, "weights": options.weights}
    return made_from(settings, sets, images, starts, _named(options))


def _named(options: TrainOptions) -> str | None:
    """The network that the options name; None if it is to be chosen."""
    if options.init is None:
        return options.arch
    return trusted_architecture(options.init, trust_code=options.trust_code, architecture=options.arch, option="--init")


def _already_there(out: Path, shaped_by: dict[str, Any]) -> Result:
    """The results of the checkpoint that stands there. Raises UsageError if it is another one."""
    metadata = read_checkpoint_metadata(out)
    match metadata:
        case {"made_from": its_own, "counts": dict(counts), "metrics": dict(metrics), "classes": classes}:
            if its_own == origin(shaped_by)["made_from"]:
                return up_to_date([out], counts, {**metrics, "classes": classes})
    how = how_else(metadata, shaped_by, OTHERWISE)
    raise UsageError(f"{out}: exists, and was made {how}; choose another --out, or --force to replace it")


def _settle_network(
    options: TrainOptions, images: ImageSource, table: pd.DataFrame, classes: tuple[str, ...], reporter: Reporter
) -> tuple[Shape, str, LoadedNetwork | None]:
    """Input shape, architecture, and the network of --init; what was not given is said."""
    before = None
    if options.init:
        before = load_checkpoint(
            options.init, trust_code=options.trust_code, architecture=options.arch, option="--init"
        )
        arch = before.metadata["architecture"]["name"]
        if options.arch not in (None, arch):
            raise UsageError(f"--arch {options.arch}: the --init checkpoint is a {arch}; leave one of the two out")
        if before.classes != classes:
            reporter.note(f"{options.init} knows other classes ({', '.join(before.classes)}); the head starts anew")
        return before.input_shape, arch, before
    shape = settle_input_shape(images, table, options.image_size, options.grey, reporter)
    if options.image_size is None or options.grey is None:
        kind = "grey" if shape[0] == 1 else "colour"
        reporter.note(f"input: {shape[2]}x{shape[1]} {kind}, by the labelled images (--image-size, --gray, --color)")
    arch = options.arch or default_architecture(shape)
    if options.arch is None:
        reporter.note(f"network: {arch} (--arch)")
    return shape, arch, before


def _split(
    options: TrainOptions, labelled: Examples, sets: LabelSets, load: Callable[[pd.DataFrame, bool], Examples]
) -> tuple[Examples, Examples | None]:
    """Training and validation examples; a twin is always on the side of its image."""
    if options.validation:
        return labelled, load(sets.validation, False)
    generator = torch.Generator().manual_seed(options.seed)
    chosen = split_images(labelled.labels, options.validation_fraction, generator)
    return labelled.of_images(~chosen), labelled.of_images(chosen) if chosen.any() else None


def _schedule(options: TrainOptions) -> Schedule:
    return Schedule(
        options.epochs, options.lr, options.batch_size, options.patience, options.augment, options.mixed_precision,
        options.monitor,
    )  # fmt: skip


def _seeds(options: TrainOptions) -> list[int]:
    seeds: list[int] = torch.randint(
        2**62, (options.restarts,), generator=torch.Generator().manual_seed(options.seed)
    ).tolist()
    return seeds

"""train: a classifier from labelled images and their twins."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from dfal_cli import __version__
from dfal_cli.augment import AUGMENTATIONS
from dfal_cli.checkpoint import LoadedNetwork, load_checkpoint, read_checkpoint_metadata, save_checkpoint
from dfal_cli.console import Reporter
from dfal_cli.device import choose_device, is_out_of_memory
from dfal_cli.errors import TryAgainError, UsageError
from dfal_cli.examples import Examples, Shape, load_examples, settle_input_shape
from dfal_cli.files import fingerprint, locked, must_end_with, must_exist, settings_of, sha256_of
from dfal_cli.images import ImageReader, cached, read_from_disk
from dfal_cli.label_sets import LabelSets, read_label_sets
from dfal_cli.metrics import metrics_of, show_metrics, summary_of
from dfal_cli.models import Network, build_network, default_architecture, fit_weights, seeded
from dfal_cli.models.weights import read_pretrained, read_weights
from dfal_cli.result import Result, up_to_date
from dfal_cli.training import Diverged, Epoch, Schedule, fit, split_images

WITHOUT_EFFECT = ("out", "device", "workers", "cache", "cache_limit", "force")
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
    force: bool = False


def train(
    options: TrainOptions,
    reporter: Reporter,
    reader: ImageReader = read_from_disk,
    input_shape: Shape | None = None,
) -> Result:
    """Train a network and write it as a checkpoint, the best epoch of the best restart.

    `input_shape` (C, H, W) stands in for what the labelled images look like.
    Raises UsageError, DataError or TryAgainError as the command documents.
    """
    _check(options)
    sets = read_label_sets(
        options.labels, options.validation, options.test, options.pseudo_labels, options.class_names, reporter
    )
    classes = sets.classes
    with cached(options.cache, options.cache_limit, reader, reporter) as reading, locked(options.out):
        made_from = _fingerprint(options, sets, input_shape)
        if options.out.exists() and not options.force:
            return _already_there(options.out, made_from)
        shape, arch, before = _settle_network(options, sets.labels, classes, input_shape, reporter)
        device = choose_device(options.device)

        def load(table: pd.DataFrame, with_twins: bool) -> Examples:
            return load_examples(
                options.images, table, classes, shape,
                with_twins=with_twins, workers=options.workers, reader=reading, reporter=reporter,
            )  # fmt: skip

        labelled = load(sets.labels, options.twins)
        training, validation = _split(options, labelled, sets, load)
        if options.pseudo_labels:
            training = training.followed_by(load(sets.pseudo_labels, False))
        model, histories, chosen = _best_restart(
            options, arch, classes, shape, before, training, validation, device, reporter
        )
        test = load(sets.test, False) if options.test else None
        metrics = {
            "restart": chosen + 1,
            "epochs": sum(map(len, histories)),
            **metrics_of(model, histories[chosen], classes, validation=validation, test=test),
        }
        counts = {
            "labelled": len(labelled.labels), "pseudo": len(sets.pseudo_labels), "twins": len(labelled.twin_of),
            "training": len(training.labels),
        }  # fmt: skip
        save_checkpoint(
            options.out, model, architecture=arch, classes=classes, input_shape=shape,
            further={
                "seed": options.seed, "labels_sha256": [sha256_of(path) for path in options.labels],
                "pseudo_labels_sha256": [sha256_of(path) for path in options.pseudo_labels],
                "metrics": metrics, "counts": counts, "made_from": made_from, "dfal": __version__,
            },
        )  # fmt: skip
    show_metrics(metrics, classes, reporter)
    history = [{"restart": k, **epoch._asdict()} for k, epochs in enumerate(histories, 1) for epoch in epochs]
    return Result([options.out], summary_of(metrics), counts, {**metrics, "classes": classes, "history": history})


def _check(options: TrainOptions) -> None:
    must_exist(options.images, "--images", folder=True)
    must_end_with(options.out, (".safetensors",), "--out")
    if not options.labels:
        raise UsageError("--labels: name at least one labels file")
    if options.augment not in AUGMENTATIONS:
        raise UsageError(f"--augment {options.augment}: use one of {', '.join(AUGMENTATIONS)}")
    if options.pretrained and options.weights:
        raise UsageError("--pretrained and --weights: choose one")
    if options.init and (options.pretrained or options.weights):
        raise UsageError("--init continues from its own weights: leave out --pretrained and --weights")
    for path, option in ((options.init, "--init"), (options.weights, "--weights")):
        if path:
            must_exist(path, option)


def _fingerprint(options: TrainOptions, sets: LabelSets, shape: Shape | None) -> str:
    """What the checkpoint is made from: the settings, and the contents of every file that is read.

    Contents, not modification times, so that equal inputs give equal bytes wherever they lie.
    """
    starts = [sha256_of(path) for path in (options.init, options.weights) if path]
    paths = ("images", "labels", "validation", "test", "pseudo_labels", "init", "weights")
    settings = settings_of(options, without=(*WITHOUT_EFFECT, *paths))
    return fingerprint(settings, sets.contents(options.images), starts, shape, __version__)


def _already_there(out: Path, made_from: str) -> Result:
    metadata = read_checkpoint_metadata(out)
    if metadata.get("made_from") != made_from:
        raise UsageError(f"{out}: exists, and was made from other options, labels or images; --force replaces it")
    return up_to_date([out], metadata["counts"], {**metadata["metrics"], "classes": metadata["classes"]})


def _settle_network(
    options: TrainOptions, table: pd.DataFrame, classes: tuple[str, ...], shape: Shape | None, reporter: Reporter
) -> tuple[Shape, str, LoadedNetwork | None]:
    """Input shape, architecture, and the network of --init; what was not given is said."""
    before = None
    if options.init:
        before = load_checkpoint(options.init, trust_code=options.trust_code, architecture=options.arch)
        arch = before.metadata["architecture"]["name"]
        if options.arch not in (None, arch):
            raise UsageError(f"--arch {options.arch}: the --init checkpoint is a {arch}; leave one of the two out")
        if before.classes != classes:
            reporter.note(f"{options.init} knows other classes ({', '.join(before.classes)}); the head starts anew")
        return before.input_shape, arch, before
    shape = shape or settle_input_shape(options.images, table, options.image_size, options.grey)
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


def _best_restart(
    options: TrainOptions,
    arch: str,
    classes: tuple[str, ...],
    shape: Shape,
    before: LoadedNetwork | None,
    training: Examples,
    validation: Examples | None,
    device: torch.device,
    reporter: Reporter,
) -> tuple[Network, list[list[Epoch]], int]:
    """Train `restarts` times from different seeds; the network of the lowest decisive loss, all epochs, its place."""
    schedule = Schedule(
        options.epochs, options.lr, options.batch_size, options.patience, options.augment, options.mixed_precision
    )
    seeds = torch.randint(2**62, (options.restarts,), generator=torch.Generator().manual_seed(options.seed)).tolist()
    best: tuple[float, Network | None, int] = (float("inf"), None, 0)
    histories: list[list[Epoch]] = []
    with reporter.progress("training", options.epochs * options.restarts, "epochs") as advance:

        def on_epoch(epoch: Epoch) -> None:
            reporter.detail(str(epoch))
            advance(1)

        for restart, seed in enumerate(seeds):
            model = _start(options, arch, classes, shape, before, seed, reporter).to(device)
            reporter.note(
                f"training {arch} on {len(training.labels)} images and {len(training.twin_of)} twins, "
                f"{len(classes)} classes, {device.type}, {restart + 1} of {options.restarts}"
            )
            try:
                histories.append(fit(model, training, validation, schedule, seed, on_epoch))
            except Diverged:
                reporter.warn(f"training {restart + 1} of {options.restarts} diverged")
                histories.append([])
                continue
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise TryAgainError(f"out of memory; try --batch-size {max(1, options.batch_size // 2)}") from None
                raise
            advance(options.epochs - len(histories[-1]))
            loss = min(epoch.decisive_loss for epoch in histories[-1])
            if loss < best[0]:
                best = (loss, model, restart)
    if best[1] is None:
        raise UsageError(f"training diverged: no loss was finite; try an --lr below {options.lr:g}")
    return best[1], histories, best[2]


def _without_head(state: dict[str, Tensor], arch: str, num_classes: int, shape: Shape) -> dict[str, Tensor]:
    """The weights that do not depend on the number of classes: the head's mean the classes they were made for."""
    with seeded(0, torch.device("cpu")):
        wider = build_network(arch, num_classes + 1, shape).body.state_dict()
        own = build_network(arch, num_classes, shape).body.state_dict()
    return {name: value for name, value in state.items() if name in own and own[name].shape == wider[name].shape}


def _start(
    options: TrainOptions,
    arch: str,
    classes: tuple[str, ...],
    shape: Shape,
    before: LoadedNetwork | None,
    seed: int,
    reporter: Reporter,
) -> Network:
    """A network to train: new under `seed` (the paper), or from the weights the user named."""
    with seeded(seed, torch.device("cpu")):
        model = build_network(arch, len(classes), shape)
    if before is not None:
        state, source = copy.deepcopy(before.model.body.state_dict()), str(options.init)
        if before.classes != classes:
            state = _without_head(state, arch, len(classes), shape)
    elif options.weights:
        state, source = read_weights(options.weights), str(options.weights)
    elif options.pretrained:
        state, source = read_pretrained(arch), f"the pretrained {arch}"
    else:
        return model
    fresh = fit_weights(model, state, source)
    if fresh:
        reporter.note(f"{source}: all weights taken but {', '.join(fresh)}, which start anew")
    return model

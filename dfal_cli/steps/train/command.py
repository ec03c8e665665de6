"""train: a classifier from labelled images and their twins."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dfal_cli import __version__
from dfal_cli.checkpoint import read_checkpoint_metadata, save_checkpoint
from dfal_cli.errors import UsageError
from dfal_cli.images import ImageSource, are_flat, flat_in_words, open_images
from dfal_cli.images.pool import image_names
from dfal_cli.models import Network, has_pretrained
from dfal_cli.schemas import LABEL
from dfal_cli.steps.option import settings_of
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.train.checks import check
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.steps.train.settled import Settled, prepared_start, say_what_was_settled, settle
from dfal_cli.system.device import choose_device
from dfal_cli.system.differences import describe_changes, provenance
from dfal_cli.system.files import locked
from dfal_cli.system.fingerprints import fingerprint, sha256_or_empty
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.checkpoint_inputs import CHANGE_TEXTS, checkpoint_inputs
from dfal_cli.training.duplicates import warn_about_duplicates
from dfal_cli.training.label_sets import LabelSets, check_images_exist, folder_labels, read_label_sets
from dfal_cli.training.loading import TrainingData, load_training_data
from dfal_cli.training.metrics import metrics_of
from dfal_cli.training.remedies import what_to_try
from dfal_cli.training.report import show_metrics, summary_of, warn_unless_learnt
from dfal_cli.training.restarts import Restarts, Trained
from dfal_cli.training.run import TrainingSettings, best_epoch
from dfal_cli.training.state import TrainingState


def train(
    options: TrainOptions, reporter: Reporter, images: ImageSource | None = None, *, warn_if_not_learnt: bool = True
) -> Result:
    """Train a network and write it as a checkpoint, the best epoch of the best restart.

    All inputs are checked before the first epoch. `images` replace the folder `options.images`, if given.
    warn_if_not_learnt: False in simulations, which report it at the end.
    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    with (
        locked(options.out, options.wait, reporter.note),  # first: what is read is read when it is this call's turn
        open_images(
            images, options.images, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
        ) as source,
    ):
        hashes = _hashes(options)
        sets = _label_sets(options, source, reporter)
        settled = settle(options, source, sets.labels, reporter)
        content_hashes = sets.content_hashes(source, reporter)
        shaped_by = _made_from(options, settled, sets.digests(content_hashes))
        device = choose_device(options.device)
        state = TrainingState(options.out, _shaping_the_training(shaped_by), device, reporter)
        if options.out.exists() and not options.force:
            there = _already_there(options.out, shaped_by)
            state.remove()
            if warn_if_not_learnt and "learnt" in there.details:  # older checkpoints do not tell
                warn_unless_learnt(there.details, _remedies(options, settled, there.details), reporter)
            return there
        warn_about_duplicates(sets, content_hashes, reporter)
        seeds = _seeds(options)
        start = prepared_start(settled, options, sets.classes, seeds[0], reporter)
        say_what_was_settled(settled, options, reporter)
        loaded = _loaded(options, settled, source, sets, content_hashes, reporter)
        _warn_of_flat(loaded, reporter)
        reporter.note(f"training {settled.architecture} on {_in_words(loaded, sets)}, {device.type}")
        restarts = Restarts(lambda seed: start(seed).to(device), seeds, _schedule(options, settled), state, reporter)
        trained = restarts.train(loaded.training, loaded.validation)
        metrics = _metrics(settled, trained, loaded, sets, reporter)
        counts = _counts(loaded, sets)
        extra_metadata = {"metrics": metrics, "counts": counts, **hashes, **provenance(shaped_by)}
        state.make_room_for(lambda: _save(options, settled, sets, trained.model, extra_metadata))
        state.remove()
    show_metrics(metrics, sets.classes, reporter)
    if warn_if_not_learnt:
        warn_unless_learnt(metrics, _remedies(options, settled, metrics), reporter)
    details = {**metrics, "classes": sets.classes, "history": _history(trained)}
    return Result([options.out], summary_of(metrics), counts, details)


def _label_sets(options: TrainOptions, source: ImageSource, reporter: Reporter) -> LabelSets:
    sets = read_label_sets(
        options.labels, options.validation, options.test, options.pseudo_labels, options.class_names, reporter,
        image_names(source), folder_labels(source, reporter) if options.labels_from_folders else None,
    )  # fmt: skip
    check_images_exist(source, (sets.validation, sets.test))
    return sets


def _remedies(options: TrainOptions, settled: Settled, metrics: Mapping[str, Any]) -> str:
    """What to try if the network has not learnt."""
    from_scratch = not (options.init or options.weights or options.pretrained)
    return what_to_try(
        settled.input_format.shape,
        at_last_epoch=metrics["epoch"] == options.epochs,
        may_start_pretrained=from_scratch and has_pretrained(settled.architecture),
    )


def _hashes(options: TrainOptions) -> dict[str, list[str]]:
    """Of the labels files as they are now: while a training goes on, answers may be merged into them."""
    files = {"labels": options.labels, "pseudo_labels": options.pseudo_labels}
    return {f"{name}_sha256": [sha256_or_empty(path) for path in paths] for name, paths in files.items()}


def _made_from(options: TrainOptions, settled: Settled, contents: Mapping[str, str]) -> dict[str, Any]:
    settings = settings_of(options) | settled.how._asdict()
    if options.validation:
        settings["validation_fraction"] = None
    starts = {"init": options.init, "weights": options.weights}
    architecture = settled.architecture if options.init or options.arch else None
    return checkpoint_inputs(settings, contents, starts, architecture)


def _shaping_the_training(shaped_by: Mapping[str, Any]) -> str:
    """Of all that shapes the checkpoint what shapes its weights, too: the test does not."""
    return fingerprint({name: part for name, part in shaped_by.items() if name != "test"})


def _already_there(out: Path, shaped_by: dict[str, Any]) -> Result:
    """The results of the checkpoint that stands there. Raises UsageError if it is another one."""
    metadata = read_checkpoint_metadata(out)
    match metadata:
        case {"made_from": its_own, "counts": dict(counts), "metrics": dict(metrics), "classes": classes}:
            if its_own == provenance(shaped_by)["made_from"]:
                return up_to_date([out], counts, {**metrics, "classes": classes})
    how = describe_changes(metadata, shaped_by, CHANGE_TEXTS)
    raise UsageError(f"{out}: exists, and was made {how}; choose another --out, or --force to replace it")


def _schedule(options: TrainOptions, settled: Settled) -> TrainingSettings:
    return TrainingSettings(
        options.epochs, options.lr, options.batch_size, settled.how.patience, settled.how.augment,
        options.mixed_precision, settled.how.monitor,
    )  # fmt: skip


def _seeds(options: TrainOptions) -> list[int]:
    seeds: list[int] = torch.randint(
        2**62, (options.restarts,), generator=torch.Generator().manual_seed(options.seed)
    ).tolist()
    return seeds


def _loaded(
    options: TrainOptions,
    settled: Settled,
    source: ImageSource,
    sets: LabelSets,
    content_hashes: Mapping[str, list[str]],
    reporter: Reporter,
) -> TrainingData:
    return load_training_data(
        source, sets, settled.input_format, content_hashes["labels"],
        with_twins=options.twins, validation_fraction=settled.how.validation_fraction, seed=options.seed,
        workers=options.workers, reporter=reporter,
    )  # fmt: skip


def _warn_of_flat(loaded: TrainingData, reporter: Reporter) -> None:
    sets = loaded.measured.values()
    flat = sum(int(are_flat(examples.images.numpy()).sum()) for examples in sets)
    if flat:
        reporter.warn(flat_in_words(flat, sum(map(len, sets))))


def _in_words(loaded: TrainingData, sets: LabelSets) -> str:
    training = loaded.training
    return f"{len(training.labels)} images and {len(training.twin_of)} twins, {len(sets.classes)} classes"


def _counts(loaded: TrainingData, sets: LabelSets) -> dict[str, int]:
    return {
        "labelled": len(sets.labels),
        "pseudo": len(sets.pseudo_labels),
        "twins": loaded.twins,
        "training": len(loaded.training.labels),
    }


def _metrics(
    settled: Settled, trained: Trained, loaded: TrainingData, sets: LabelSets, reporter: Reporter
) -> dict[str, Any]:
    best = best_epoch(trained.histories[trained.best], settled.how.monitor)
    names = {"training": sets.classes, "validation": sets.classes_in("validation"), "test": sets.classes_in("test")}
    measured = {name: (examples, names[name]) for name, examples in loaded.measured.items()}
    return {
        "restart": trained.best + 1,
        "epochs": sum(map(len, trained.histories)),
        **metrics_of(trained.model, best, len(sets.classes), measured, reporter),
    }


def _save(options: TrainOptions, settled: Settled, sets: LabelSets, model: Network, metadata: dict[str, Any]) -> None:
    known = sets.labels[LABEL].value_counts()
    extra_metadata = {
        "seed": options.seed, "label_counts": {name: int(known.get(name, 0)) for name in sets.classes},
        "dfal": __version__, **metadata,
    }  # fmt: skip
    save_checkpoint(
        options.out, model, architecture=settled.architecture, classes=sets.classes,
        input_shape=settled.input_format.shape, white=settled.input_format.white, extra_metadata=extra_metadata,
    )  # fmt: skip


def _history(trained: Trained) -> list[dict[str, Any]]:
    return [{"restart": k, **epoch._asdict()} for k, epochs in enumerate(trained.histories, 1) for epoch in epochs]

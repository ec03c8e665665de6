"""train --images: a network, trained on labelled images and their twins."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch

from dfal_cli.checkpoint import save_checkpoint
from dfal_cli.errors import plural
from dfal_cli.images import ImageSource, are_flat, flat_in_words
from dfal_cli.models import Network, has_pretrained
from dfal_cli.steps.option import settings_of
from dfal_cli.steps.result import Result
from dfal_cli.steps.train.course import Course, run_course
from dfal_cli.steps.train.labels import label_hashes, labels_of_images
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.steps.train.plan import Plan, Start, initial_networks, plan_training, report_choices
from dfal_cli.steps.train.provenance import existing_result, extra_metadata
from dfal_cli.system.crew import ALONE, Crew
from dfal_cli.system.device import choose_device
from dfal_cli.system.fingerprints import fingerprint
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.checkpoint_inputs import checkpoint_inputs
from dfal_cli.training.duplicates import warn_about_duplicates
from dfal_cli.training.finetuning import save_finetuned
from dfal_cli.training.label_sets import LabelSets
from dfal_cli.training.learnt import FILE, SPLIT
from dfal_cli.training.loading import TrainingData, load_training_data
from dfal_cli.training.remedies import instead_of_from_scratch, what_to_try
from dfal_cli.training.report import show_metrics, summary_of, warn_unless_learnt
from dfal_cli.training.restarts import Trained
from dfal_cli.training.run import FinetuningSettings, TrainingSettings
from dfal_cli.training.state import TrainingState
from dfal_cli.training.team import SINGLE


def train_network(
    options: TrainOptions, source: ImageSource, crew: Crew, reporter: Reporter, *, warn_if_not_learnt: bool
) -> Result:
    """Train a network on images, and write the best epoch of the best restart. Arguments as of `train`."""
    hashes = label_hashes(options)
    sets = labels_of_images(options, source, reporter)
    plan = plan_training(options, source, sets.labels, reporter)
    content_hashes = sets.content_hashes(source.content_hash, reporter)
    inputs = _inputs(options, plan, sets.digests(content_hashes))
    device = choose_device(options.device)
    state = TrainingState(options.out, _fingerprint_of_weights(inputs), device, reporter)
    if options.out.exists() and not options.force:
        result = existing_result(options.out, inputs)
        state.remove()
        if warn_if_not_learnt and "learnt" in result.details:  # older checkpoints lack it
            warn_unless_learnt(result.details, _remedies(options, plan, result.details), reporter)
        return result
    warn_about_duplicates(sets, content_hashes, reporter)
    if warn_if_not_learnt and plan.photos_from_scratch and (advice := instead_of_from_scratch(len(sets.labels))):
        reporter.warn(advice)
    new_network = initial_networks(plan, options, sets.classes, _seeds(options)[0], reporter)
    report_choices(plan, options, reporter)
    load = functools.partial(_load, options, plan, source, sets, content_hashes, reporter)
    trained, metrics, counts = _trained(options, plan, sets, load, new_network, device, state, crew, reporter)
    metadata = extra_metadata(options, sets, content_hashes, metrics, counts, hashes, inputs)
    state.make_room_for(lambda: _save(options, plan, sets, trained.model, metadata))
    state.remove()
    show_metrics(metrics, sets.classes, reporter)
    if warn_if_not_learnt:
        warn_unless_learnt(metrics, _remedies(options, plan, metrics), reporter)
    details = {**metrics, "classes": sets.classes, "history": _history(trained)}
    return Result([options.out], summary_of(metrics), counts, details)


def _trained(
    options: TrainOptions,
    plan: Plan,
    sets: LabelSets,
    load: Callable[[], TrainingData],
    start: Start,
    device: torch.device,
    state: TrainingState,
    crew: Crew,
    reporter: Reporter,
) -> tuple[Trained, dict[str, Any], dict[str, int]]:
    """Load the examples and train on them, alone or with the other ranks; return network, metrics and counts."""
    data = load()
    reporter.note(f"training {plan.architecture} on {_describe(data, sets)}, {device.type}")
    counts = _counts(data, sets)
    names = {"training": sets.classes, **{name: sets.classes_in(name) for name in ("validation", "test")}}
    course = Course(_seeds(options), _settings(options, plan), names, options.sync_batch_norm)
    if crew is ALONE:
        trained, measured = run_course(course, start, data, device, state, SINGLE, reporter)
    else:
        from dfal_cli.steps.train.leading import given_to_others, run_with, sharing  # one process needs none of it

        with sharing(data, options.out) as (data, placed):  # the memory of the former data is free now
            run = functools.partial(run_course, course, start, data, device, state, reporter=reporter)
            trained, measured = run_with(crew, run, given_to_others(course, plan, placed), device, reporter)
    return trained, _metrics(trained, measured, sets), counts


def _inputs(options: TrainOptions, plan: Plan, digests: Mapping[str, str]) -> dict[str, Any]:
    """What determines the checkpoint, ready for JSON."""
    settings = settings_of(options) | plan.recipe._asdict()
    if options.validation:
        settings["validation_fraction"] = None
    initial_weights = {"init": options.init, "weights": options.weights}
    architecture = plan.architecture if options.init or options.arch else None
    backbone = fingerprint(plan.backbone.metadata) if plan.backbone else ""
    return checkpoint_inputs(settings, digests, initial_weights, architecture, backbone=backbone)


def _fingerprint_of_weights(inputs: Mapping[str, Any]) -> str:
    """Fingerprint of the inputs that determine the weights: all but the test set."""
    return fingerprint({name: value for name, value in inputs.items() if name != "test"})


def _remedies(options: TrainOptions, plan: Plan, metrics: Mapping[str, Any]) -> str:
    """What to try if the network has not learnt."""
    from_scratch = not (options.init or options.weights or options.pretrained or options.finetune)
    return what_to_try(
        plan.input_format.shape,
        at_last_epoch=metrics["epoch"] == plan.recipe.epochs,
        may_start_pretrained=from_scratch and has_pretrained(plan.architecture),
    )


def _settings(options: TrainOptions, plan: Plan) -> TrainingSettings:
    recipe = plan.recipe
    return TrainingSettings(
        recipe.epochs, recipe.lr, recipe.batch_size, recipe.patience, recipe.augment, options.mixed_precision,
        recipe.monitor, FinetuningSettings() if plan.backbone else None,
    )  # fmt: skip


def _seeds(options: TrainOptions) -> list[int]:
    seeds: list[int] = torch.randint(
        2**62, (options.restarts,), generator=torch.Generator().manual_seed(options.seed)
    ).tolist()
    return seeds


def _load(
    options: TrainOptions,
    plan: Plan,
    source: ImageSource,
    sets: LabelSets,
    content_hashes: Mapping[str, list[str]],
    reporter: Reporter,
) -> TrainingData:
    """Decode the images of all sets. Warns of images of a single colour."""
    data = load_training_data(
        source, sets, plan.input_format, content_hashes["labels"],
        with_twins=options.twins, validation_fraction=plan.recipe.validation_fraction, seed=options.seed,
        workers=options.workers, reporter=reporter,
    )  # fmt: skip
    decoded = data.measured.values()
    flat = sum(int(are_flat(examples.images.numpy()).sum()) for examples in decoded)
    if flat:
        reporter.warn(flat_in_words(flat, sum(map(len, decoded))))
    return data


def _describe(data: TrainingData, sets: LabelSets) -> str:
    training = data.training
    images, twins = len(training.labels), len(training.twin_of)
    return f"{images} {plural(images, 'image')} and {twins} {plural(twins, 'twin')}, {len(sets.classes)} classes"


def _counts(data: TrainingData, sets: LabelSets) -> dict[str, int]:
    return {
        "labelled": len(sets.labels),
        "pseudo": len(sets.pseudo_labels),
        "twins": data.twins,
        "training": len(data.training.labels),
    }


def _metrics(trained: Trained, measured: Mapping[str, Any], sets: LabelSets) -> dict[str, Any]:
    """Complete the metrics of `metrics_of`."""
    source = {"validation_from": SPLIT if sets.validation.empty else FILE} if "validation" in measured else {}
    return {"restart": trained.best + 1, "epochs": sum(map(len, trained.histories)), **source, **measured}


def _save(options: TrainOptions, plan: Plan, sets: LabelSets, model: Network, metadata: dict[str, Any]) -> None:
    if plan.backbone:
        save_finetuned(options.out, model, plan.backbone, classes=sets.classes, extra_metadata=metadata)
        return
    save_checkpoint(
        options.out, model, architecture=plan.architecture, classes=sets.classes,
        input_shape=plan.input_format.shape, white=plan.input_format.white, extra_metadata=metadata,
    )  # fmt: skip


def _history(trained: Trained) -> list[dict[str, Any]]:
    return [{"restart": k, **epoch._asdict()} for k, epochs in enumerate(trained.histories, 1) for epoch in epochs]

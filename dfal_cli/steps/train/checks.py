"""Checks of the options of `dfal train`."""

import math
from pathlib import Path

from dfal_cli.errors import UsageError, unknown_name
from dfal_cli.images import check_white
from dfal_cli.steps.option import given_options, options_in
from dfal_cli.steps.option_groups import (
    CacheOptions,
    ComputingOptions,
    NetworkOptions,
    TrainingOptions,
    may_be_folder,
)
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.paths import check_paths, must_be_regular, must_end_with

CLASS_WEIGHTS = ("balanced",)


OF_IMAGES = options_in(NetworkOptions, ComputingOptions, CacheOptions) | {
    "init", "weights", "pretrained", "freeze", "finetune", "resize", "trust_code", "mixed_precision", "follow_links",
    "sync_batch_norm",
}  # fmt: skip
WITHOUT_EFFECT = {
    "--images": frozenset({"class_weight", "resize"}),
    "--finetune": frozenset({"init", "grey", "class_weight", "sync_batch_norm"}),
    "--freeze": options_in(TrainingOptions) | {"init", "grey", "mixed_precision", "sync_batch_norm"},
    "--embeddings": options_in(TrainingOptions) | OF_IMAGES,
}
"""Way to train -> the options that it refuses."""

NO_EFFECT = {way: f"no effect with {way}" for way in WITHOUT_EFFECT} | {
    "--images": "only for pretrained networks (--embeddings, --freeze, --finetune)"
}


def check(options: TrainOptions) -> None:
    """Raise UsageError if an option is invalid, or would be ignored because of another one."""
    if (options.images is None) == (options.embeddings is None):
        raise UsageError("use either --images (to train a network) or --embeddings (to train a head on them)")
    must_end_with(options.out, (".safetensors",), "--out")
    if bool(options.labels) == options.labels_from_folders:
        raise UsageError("use either --labels or --labels-from-folders")
    if options.freeze and options.finetune:
        raise UsageError("--freeze and --finetune: choose one")
    ways = {"--embeddings": options.embeddings, "--freeze": options.freeze, "--finetune": options.finetune}
    way = next((name for name, is_given in ways.items() if is_given), "--images")
    for given in given_options(options):
        if given.name in WITHOUT_EFFECT[way]:
            raise UsageError(f"{given.spelling}: {NO_EFFECT[way]}; remove it")
    if options.class_weight not in (None, *CLASS_WEIGHTS):
        raise UsageError(f"--class-weight {options.class_weight}: use {' or '.join(CLASS_WEIGHTS)}")
    check_training(options.augment, options.monitor, options.lr)
    check_white(options.white)
    _check_pairs(options)
    if way == "--images" and options.arch is not None:
        from dfal_cli.models import check_name
        from dfal_cli.models.backbone_names import must_be_no_backbone

        must_be_no_backbone(options.arch, "--arch")
        check_name(options.arch)
    inputs: dict[str, list[Path] | list[Path | None]] = {
        "--labels": options.labels, "--pseudo-labels": options.pseudo_labels, "--validation": options.validation,
        "--test": options.test,
        "--init": [options.init],  # must not be --out: the same command would then continue from its own result
        "--weights": [options.weights], "--embeddings": [options.embeddings],
    }  # fmt: skip
    check_paths(inputs, {"--out": [options.out]}, {"--images": options.images}, may_be_folder)
    for path, option in ((options.init, "--init"), (options.weights, "--weights")):
        if path:
            must_be_regular(path, option)


def check_training(augment: str | None, monitor: str | None, lr: float | None) -> None:
    """Raise UsageError if the augmentation or monitor does not exist, or if the learning rate is invalid."""
    if augment or monitor:
        from dfal_cli.training.augment import AUGMENTATIONS
        from dfal_cli.training.run import MONITORS

        for name, value, table in (("augment", augment, AUGMENTATIONS), ("monitor", monitor, MONITORS)):
            if value is not None and value not in table:
                raise unknown_name(f"--{name}", value, table)
    if lr is not None and not 0 < lr < math.inf:
        raise UsageError(f"--lr {lr:g}: must be a number above 0")


def _check_pairs(options: TrainOptions) -> None:
    if options.pretrained and options.weights:
        raise UsageError("--pretrained and --weights: choose one")
    if options.init and (options.pretrained or options.weights):
        raise UsageError("--init starts from the weights of its checkpoint: remove --pretrained and --weights")
    if options.init and (options.image_size is not None or options.grey is not None):
        raise UsageError("--init uses the input shape of its checkpoint: remove --image-size, --gray and --color")
    if options.init and options.white is not None:
        raise UsageError("--init uses the white value of its checkpoint: remove --white")
    if options.validation and options.validation_fraction is not None:
        raise UsageError("--validation and --validation-fraction: choose one; --validation replaces the split")

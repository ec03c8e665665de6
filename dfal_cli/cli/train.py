"""dfal train"""

from pathlib import Path
from typing import Annotated

import typer

from dfal_cli.cli.options import (
    IN,
    NETWORK,
    ON_A_GPU,
    OUT,
    TRAINING,
    Arch,
    Augment,
    BatchSize,
    Cache,
    CacheLimit,
    Config,
    Device,
    Epochs,
    FollowLinks,
    Force,
    Grey,
    Images,
    ImageSize,
    Json,
    LabelsFromFolders,
    LabelsUnlessFromFolders,
    LearningRate,
    Monitor,
    Patience,
    Quiet,
    Restarts,
    Seed,
    TrustCode,
    ValidationFraction,
    Version,
    Wait,
    White,
    Workers,
    names_of_classes,
    option,
)
from dfal_cli.cli.run import running


def train(
    context: typer.Context,
    images: Images,
    out: Annotated[Path, option("--out", help="Checkpoint to write (.safetensors).", panel=OUT, metavar="FILE")],
    labels: LabelsUnlessFromFolders,
    labels_from_folders: LabelsFromFolders = False,
    validation: Annotated[
        list[Path],
        option("--validation", help="Labels file for early stopping, instead of a split.", panel=IN, metavar="CSV"),
    ] = [],  # noqa: B006
    test: Annotated[
        list[Path], option("--test", help="Labels file to report the accuracy on.", panel=IN, metavar="CSV")
    ] = [],  # noqa: B006
    pseudo_labels: Annotated[
        list[Path],
        option(
            "--pseudo-labels",
            help="Predicted labels (<out>.pseudo.csv of select) to train on too; may be repeated.",
            panel=IN,
            metavar="CSV",
        ),
    ] = [],  # noqa: B006
    follow_links: FollowLinks = False,
    class_names: Annotated[str | None, names_of_classes("All classes, a,b,c.")] = None,
    arch: Arch = None,
    image_size: ImageSize = None,
    grey: Grey = None,
    white: White = None,
    init: Annotated[
        Path | None,
        option("--init", help="Go on from this checkpoint instead of from scratch.", panel=NETWORK, metavar="FILE"),
    ] = None,
    weights: Annotated[
        Path | None,
        option("--weights", help="Start from a local state dict (.pth, .safetensors).", panel=NETWORK, metavar="FILE"),
    ] = None,
    pretrained: Annotated[
        bool, option("--pretrained", help="Start from torchvision's weights, downloaded once.", panel=NETWORK)
    ] = False,
    trust_code: TrustCode = False,
    epochs: Epochs = 100,
    patience: Patience = None,
    monitor: Monitor = None,
    restarts: Restarts = 1,
    lr: LearningRate = 1e-3,
    batch_size: BatchSize = 32,
    validation_fraction: ValidationFraction = None,
    augment: Augment = None,
    twins: Annotated[
        bool, option("--twins/--no-twins", help="Train on the adversarial twins too.", panel=TRAINING)
    ] = True,
    mixed_precision: Annotated[
        bool, option("--mixed-precision/--no-mixed-precision", help="bfloat16 on CUDA.", panel=ON_A_GPU)
    ] = True,
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    cache: Cache = None,
    cache_limit: CacheLimit = "10GB",
    wait: Wait = 0,
    config: Config = None,
    version: Version = False,
    quiet: Quiet = False,
    json: Json = False,
    force: Force = False,
) -> None:
    """Train a classifier from scratch on the labelled images and their twins."""
    with running(context) as run:
        from dfal_cli.steps.train import TrainOptions, train

        run.finish(train(run.options(TrainOptions), run.reporter))

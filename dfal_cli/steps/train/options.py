"""The options of `dfal train`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import HEAD, INPUT, NETWORK, ON_A_GPU, OUTPUT, TRAINING, Option, Shapes
from dfal_cli.steps.option_groups import (
    CacheOptions,
    CommonOptions,
    ComputingOptions,
    ImagesOrEmbeddings,
    LabelsFile,
    LabelsFromFolders,
    NetworkOptions,
    ResizeToSquare,
    SeedOption,
    TrainingOptions,
)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(
    CommonOptions, CacheOptions, ComputingOptions, SeedOption, TrainingOptions, NetworkOptions, ImagesOrEmbeddings
):
    """The options of `dfal train`."""

    labels: LabelsFile = field(default_factory=list)
    labels_from_folders: LabelsFromFolders = False
    out: Annotated[Path, Option("Checkpoint to write (.safetensors).", OUTPUT, metavar="FILE", shapes=Shapes.NOTHING)]
    validation: Annotated[
        list[Path],
        Option(
            "Labels file of held-out images for early stopping, instead of a split; for a head, instead of "
            "cross-validation.",
            INPUT, metavar="CSV", shapes=Shapes.BY_CONTENTS,
        ),
    ] = field(default_factory=list)  # fmt: skip
    test: Annotated[
        list[Path],
        Option(
            "Labels file of test images, to report the test accuracy.", INPUT, metavar="CSV", shapes=Shapes.BY_CONTENTS
        ),
    ] = field(default_factory=list)
    pseudo_labels: Annotated[
        list[Path],
        Option(
            "Predicted labels to also train on (<out>.pseudo.csv of dfal select); may be repeated.",
            INPUT, metavar="CSV", shapes=Shapes.BY_CONTENTS,
        ),
    ] = field(default_factory=list)  # fmt: skip
    class_names: Annotated[
        Sequence[str] | None,
        Option("Names of all classes.", INPUT, metavar="A,B,C", default="those in the labels", comma_separated=True),
    ] = None
    init: Annotated[
        Path | None,
        Option("Continue training from this checkpoint.", NETWORK, metavar="FILE", shapes=Shapes.BY_CONTENTS),
    ] = None
    weights: Annotated[
        Path | None,
        Option("Start from a local state dict (.pth, .safetensors).", NETWORK, metavar="FILE",
               shapes=Shapes.BY_CONTENTS),
    ] = None  # fmt: skip
    pretrained: Annotated[
        bool,
        Option(
            "Download the network's pretrained weights, once: torchvision's, or timm's with --freeze or --finetune.",
            NETWORK,
        ),
    ] = False
    freeze: Annotated[
        bool,
        Option(
            "Keep a pretrained network (--arch, lite0 by default) as it is, and train a head on its embeddings.",
            NETWORK,
        ),
    ] = False
    finetune: Annotated[
        bool,
        Option(
            "Train a pretrained network (--arch, lite0 by default) further: from a head on its embeddings, with a "
            "tenth of the learning rate below the head, weight decay and a falling learning rate.",
            NETWORK,
        ),
    ] = False
    resize: ResizeToSquare = None
    trust_code: Annotated[
        bool,
        Option("Allow the checkpoint of --init to import the code of its network.", NETWORK, shapes=Shapes.NOTHING),
    ] = False
    class_weight: Annotated[
        str | None,
        Option("balanced: all classes count the same, however many labels each has.", HEAD, metavar="NAME",
               default="all labels count the same"),
    ] = None  # fmt: skip
    twins: Annotated[bool, Option("Also train on the adversarial twins.", TRAINING, spelling="--twins/--no-twins")] = (
        True
    )
    sync_batch_norm: Annotated[
        bool,
        Option(
            "With several ranks: take the statistics of batch normalisation from whole batches, not from each rank's "
            "slice.",
            TRAINING, shapes=Shapes.NOTHING,
        ),
    ] = False  # fmt: skip
    mixed_precision: Annotated[
        bool,
        Option("Use bfloat16 on a GPU.", ON_A_GPU, spelling="--mixed-precision/--no-mixed-precision"),
    ] = True

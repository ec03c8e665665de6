"""Options that several commands share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import INPUT, MARGIN, NETWORK, OUTPUT, RUNNING, TRAINING, Option, Shapes
from dfal_cli.system.image_roots import ImageRoot

IMAGE_ROOT = Option(
    "Image root: a folder of images, a .tar, a folder of tars, or a URL such as s3://bucket/folder.",
    INPUT, metavar="DIR", shapes=Shapes.BY_CONTENTS,
)  # fmt: skip
Images = Annotated[ImageRoot, IMAGE_ROOT]
LabelsFile = Annotated[
    list[Path],
    Option(
        "Labels file (image,label), or answers of a labelling tool; may be repeated.",
        INPUT, metavar="FILE", shapes=Shapes.BY_CONTENTS,
    ),
]  # fmt: skip


def may_be_folder(option: str, folder: Path) -> bool:
    """Return whether an option takes this folder for a file of labels: it holds the answers of a labelling tool."""
    from dfal_cli.tables import read_tool_answers

    return option in ("--labels", "--validation", "--test", "--calibrate") and read_tool_answers(folder) is not None


LabelsFromFolders = Annotated[
    bool,
    Option("Use the name of each image's folder as its class, instead of --labels.", INPUT, shapes=Shapes.BY_CONTENTS),
]


@dataclass(frozen=True, kw_only=True)
class ImagesOrEmbeddings:
    """Options of commands that work on images or on their embeddings, one of which must be given."""

    images: Annotated[ImageRoot | None, IMAGE_ROOT] = None
    embeddings: Annotated[
        Path | None,
        Option(
            "Embeddings of the images (.parquet or .npy), instead of --images.",
            INPUT, metavar="FILE", shapes=Shapes.BY_CONTENTS,
        ),
    ] = None  # fmt: skip


ResizeToSquare = Annotated[
    str | None,
    Option(
        "How images become square for a pretrained network: crop (the centre), pad (with grey) or stretch.",
        NETWORK, metavar="NAME", default="as in the training of the weights",
    ),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """Options of every command."""

    follow_links: Annotated[
        bool, Option("Follow links that lead out of the image root.", INPUT, shapes=Shapes.NOTHING)
    ] = False
    wait: Annotated[
        float,
        Option(
            "Seconds to wait for another dfal command that is writing the same file.",
            RUNNING, metavar="SECONDS", minimum=0, shapes=Shapes.NOTHING,
        ),
    ] = 0.0  # fmt: skip
    force: Annotated[
        bool, Option("Overwrite an output made with other options or inputs.", OUTPUT, shapes=Shapes.NOTHING)
    ] = False


@dataclass(frozen=True, kw_only=True)
class SeedOption:
    """The option of commands that draw random numbers."""

    seed: Annotated[int, Option("Random seed.", RUNNING, minimum=0)] = 0


@dataclass(frozen=True, kw_only=True)
class ComputingOptions:
    """Options of commands that run a network."""

    device: Annotated[
        str, Option("Device: auto, cpu, cuda or cuda:N.", RUNNING, metavar="NAME", shapes=Shapes.NOTHING)
    ] = "auto"
    workers: Annotated[
        int | None,
        Option(
            "Number of threads that decode images.",
            RUNNING, default="one per core, up to 8", minimum=0, shapes=Shapes.NOTHING,
        ),
    ] = None  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """Options of commands that cache decoded images."""

    cache: Annotated[
        Path | None,
        Option(
            "Folder in which to cache decoded images for later commands.",
            RUNNING, metavar="DIR", shapes=Shapes.NOTHING,
        ),
    ] = None  # fmt: skip
    cache_limit: Annotated[
        str,
        Option("Maximum size of the cache, in kB, MB, GB or TB.", RUNNING, metavar="SIZE", shapes=Shapes.NOTHING),
    ] = "10GB"


@dataclass(frozen=True, kw_only=True)
class InferenceOptions(ComputingOptions, CacheOptions):
    """Options of commands that apply a network to every image of a folder."""

    max_unreadable: Annotated[
        float,
        Option(
            "Stop if a larger fraction of the images is unreadable.",
            INPUT, metavar="F", minimum=0, shapes=Shapes.NOTHING,
        ),
    ] = 0.05  # fmt: skip
    batch_size: Annotated[
        int | None,
        Option("Batch size.", RUNNING, minimum=1, default="chosen automatically", shapes=Shapes.NOTHING),
    ] = None


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """Options that leave images out of the pool."""

    labels: LabelsFile = field(default_factory=list)
    exclude: Annotated[
        list[Path],
        Option(
            "CSV file of images to leave out, such as a test set or a list still being answered; may be repeated.",
            INPUT, metavar="CSV", shapes=Shapes.BY_CONTENTS,
        ),
    ] = field(default_factory=list)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Options of the network to train."""

    arch: Annotated[
        str | None,
        Option(
            "Network: lenet5, vgg8, a torchvision network, or package.module:function. "
            "With --freeze (or train --finetune) a backbone: lite0, lite2, or one of torchvision, timm or your own.",
            NETWORK, metavar="NAME",
            default="lenet5 up to 64 pixels, else resnet18; lite0 with --freeze or train --finetune",
        ),
    ] = None  # fmt: skip
    image_size: Annotated[
        int | None,
        Option(
            "Side of the square input in pixels.",
            NETWORK, minimum=1,
            default="that of the images; for photos 64 from scratch, 224 for pretrained and named networks",
        ),
    ] = None  # fmt: skip
    grey: Annotated[
        bool | None,
        Option("Grey or colour input.", NETWORK, spelling="--gray/--color", default="same as the images"),
    ] = None
    white: Annotated[
        float | None,
        Option(
            "Pixel value of white in images of more than 8 bits, such as 4095 for 12 bits.",
            NETWORK, metavar="VALUE", default="found from the labelled images",
        ),
    ] = None  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options of the training of a network."""

    epochs: Annotated[
        int | None, Option("Maximum number of epochs.", TRAINING, minimum=1, default="100; 10 with train --finetune")
    ] = None
    patience: Annotated[
        int | None,
        Option(
            "Early stopping: stop after N epochs without improvement.",
            TRAINING, minimum=1, default="5; 50 for photos from scratch; 10 with train --finetune",
        ),
    ] = None  # fmt: skip
    monitor: Annotated[
        str | None,
        Option(
            "Criterion for the best epoch: loss or accuracy on the validation images, or last.",
            TRAINING, metavar="NAME", default="loss; accuracy for photos from scratch; last with train --finetune",
        ),
    ] = None  # fmt: skip
    restarts: Annotated[
        int, Option("Number of training runs; the best one is kept (the paper uses 5).", TRAINING, minimum=1)
    ] = 1
    lr: Annotated[
        float | None, Option("Learning rate of the Adam optimiser.", TRAINING, metavar="F", default="0.001")
    ] = None
    batch_size: Annotated[
        int | None, Option("Training batch size.", TRAINING, minimum=1, default="32; 16 with train --finetune")
    ] = None
    validation_fraction: Annotated[
        float | None,
        Option(
            "Fraction of the labelled images of each class held out for validation.",
            TRAINING, metavar="F", minimum=0, maximum=0.9, default="0.2; 0 with train --finetune",
        ),
    ] = None  # fmt: skip
    augment: Annotated[
        str | None,
        Option(
            "Data augmentation: none, shift, flip or photo.",
            TRAINING, metavar="NAME", default="none; photo for photos from scratch and with train --finetune",
        ),
    ] = None  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MarginOptions:
    """Options of the candidates and of the computation of their margins."""

    candidates: Annotated[
        int | None, Option("Score a random sample of N pool images.", INPUT, minimum=1, default="all")
    ] = None
    norm: Annotated[str, Option("Norm of the perturbation: l2 or linf.", MARGIN, metavar="NAME")] = "l2"
    estimator: Annotated[
        str, Option("Margin estimator: deepfool (the paper) or refined (tighter, slower).", MARGIN, metavar="NAME")
    ] = "deepfool"
    classes: Annotated[
        int | None, Option("Consider only the N most probable classes.", MARGIN, minimum=2, default="all")
    ] = None
    max_iterations: Annotated[int, Option("Maximum number of iterations per image.", MARGIN, minimum=1)] = 50
    overshoot: Annotated[
        float, Option("Lengthen the final perturbation by this fraction.", MARGIN, metavar="F", minimum=0)
    ] = 0.02
    clip: Annotated[bool, Option("Keep adversarial images within [0, 1].", MARGIN)] = False

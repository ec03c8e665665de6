"""Options that several commands share, so that each is spelt and explained once."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from dfal_cli.cli.callbacks import show_version, use_config

IN, NETWORK, TRAINING, MARGIN, OUT, RUNNING = "Input", "Network", "Training", "Margin", "Output", "Running"
ON_A_GPU = "On a GPU"
"""Headings under which help lists the options."""


def option(
    *spellings: str,
    help: str,
    panel: str,
    default: str | None = None,
    metavar: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    factory: Callable[[], object] | None = None,
) -> object:
    """Declare an option; `default` is shown where the value itself says nothing. What has a minimum is a number N.

    factory: makes the value where none is given, of what the step itself has no default for.
    """
    return typer.Option(
        *spellings,
        help=help,
        rich_help_panel=panel,
        show_default=default or factory is None,
        metavar="N" if metavar is None and minimum is not None else metavar,
        min=minimum,
        max=maximum,
        default_factory=factory,
    )


def names_of_classes(help: str) -> object:
    """Declare --class-names, whose value becomes a list."""
    return typer.Option(
        "--class-names",
        help=help,
        show_default="those of the labels",
        rich_help_panel=IN,
        metavar="A,B,C",
        callback=lambda names: names and [name.strip() for name in names.split(",")],
    )


Images = Annotated[Path, option("--images", help="Image root: the folder of images.", panel=IN, metavar="DIR")]
FollowLinks = Annotated[
    bool, option("--follow-links", help="Follow links that lead out of the image root, too.", panel=IN)
]
Labels = Annotated[
    list[Path], option("--labels", help="Labels file (image,label); may be repeated.", panel=IN, metavar="CSV")
]
LabelsUnlessFromFolders = Annotated[
    list[Path],
    option("--labels", help="Labels file (image,label); may be repeated.", panel=IN, metavar="CSV", factory=list),
]
LabelsFromFolders = Annotated[
    bool,
    option(
        "--labels-from-folders",
        help="Instead of --labels: an image's class is the name of the folder it lies in.",
        panel=IN,
    ),
]
Exclude = Annotated[
    list[Path],
    option(
        "--exclude",
        help="CSV whose `image` column is left out: test sets, lists still being answered; may be repeated.",
        panel=IN,
        metavar="CSV",
    ),
]
Arch = Annotated[
    str | None,
    option(
        "--arch",
        help="lenet5, vgg8, a torchvision network, or package.module:function.",
        default="lenet5 up to 64 pixels, else resnet18",
        panel=NETWORK,
        metavar="NAME",
    ),
]
TrustCode = Annotated[
    bool,
    option("--trust-code", help="Let a checkpoint import the code of the network it names.", panel=NETWORK),
]
ImageSize = Annotated[
    int | None,
    option(
        "--image-size",
        help="Side of the square input in pixels.",
        default="as the images; of photos 72, or 224 for pretrained and other networks",
        panel=NETWORK,
        minimum=1,
    ),
]
Grey = Annotated[bool | None, option("--gray/--color", help="Kind of input.", default="as the images", panel=NETWORK)]
White = Annotated[
    float | None,
    option(
        "--white",
        help="Value that is white in images of more than 8 bits: 4095 for 12 bits.",
        default="by the labelled images",
        metavar="VALUE",
        panel=NETWORK,
    ),
]
Epochs = Annotated[int, option("--epochs", help="Maximum number of epochs.", panel=TRAINING, minimum=1)]
Patience = Annotated[
    int | None,
    option(
        "--patience",
        help="Stop after N epochs without improvement.",
        default="5; for photos from scratch 50",
        panel=TRAINING,
        minimum=1,
    ),
]
Monitor = Annotated[
    str | None,
    option(
        "--monitor",
        help="What decides which epoch is the best: loss or accuracy on the validation images.",
        default="loss; for photos from scratch accuracy",
        panel=TRAINING,
        metavar="NAME",
    ),
]
Restarts = Annotated[
    int, option("--restarts", help="Train N times and keep the best (the paper: 5).", panel=TRAINING, minimum=1)
]
LearningRate = Annotated[float, option("--lr", help="Learning rate of Adam, above 0.", metavar="F", panel=TRAINING)]
BatchSize = Annotated[int, option("--batch-size", help="Training batch size.", panel=TRAINING, minimum=1)]
Augment = Annotated[
    str | None,
    option(
        "--augment",
        help="none, shift, flip or photo.",
        default="none; for photos from scratch photo",
        panel=TRAINING,
        metavar="NAME",
    ),
]
Candidates = Annotated[
    int | None,
    option("--candidates", help="Score a random sample of N pool images.", default="all", panel=IN, minimum=1),
]
Norm = Annotated[str, option("--norm", help="l2 or linf.", panel=MARGIN, metavar="NAME")]
Estimator = Annotated[
    str, option("--estimator", help="deepfool (the paper's), or refined: tighter.", panel=MARGIN, metavar="NAME")
]
CandidateClasses = Annotated[
    int | None,
    option("--classes", help="Consider only the N most probable classes.", default="all", panel=MARGIN, minimum=2),
]
MaxIterations = Annotated[
    int, option("--max-iterations", help="Maximum number of steps per image.", panel=MARGIN, minimum=1)
]
Overshoot = Annotated[
    float, option("--overshoot", help="Lengthen the perturbation by this share.", metavar="F", panel=MARGIN, minimum=0)
]
Clip = Annotated[bool, option("--clip", help="Keep adversarial images within [0, 1].", panel=MARGIN)]
Preset = Annotated[
    str | None,
    option(
        "--preset",
        help="paper: 300 candidates, 10 iterations, no overshoot; flags win.",
        panel=MARGIN,
        metavar="NAME",
    ),
]
ValidationFraction = Annotated[
    float | None,
    option(
        "--validation-fraction",
        help="Share of the labelled images split off, of each class alike.",
        default="as suits the images",
        metavar="F",
        panel=TRAINING,
        minimum=0,
        maximum=0.9,
    ),
]
Seed = Annotated[int, option("--seed", help="Seed of everything random.", panel=RUNNING, minimum=0)]
Device = Annotated[str, option("--device", help="auto, cpu, cuda or cuda:N.", panel=RUNNING, metavar="NAME")]
Workers = Annotated[
    int | None,
    option("--workers", help="Decoding threads.", default="one per core, up to 8", panel=RUNNING, minimum=0),
]
Cache = Annotated[
    Path | None,
    option("--cache", help="Keep decoded images in this folder, for the next command.", panel=RUNNING, metavar="DIR"),
]
CacheLimit = Annotated[
    str, option("--cache-limit", help="Maximum size of the cache (kB, MB, GB, TB).", panel=RUNNING, metavar="SIZE")
]
Wait = Annotated[
    float,
    option(
        "--wait",
        help="Seconds to wait for another dfal command that is writing the same file.",
        metavar="SECONDS",
        panel=RUNNING,
        minimum=0,
    ),
]
ProgramVersion = Annotated[
    bool, typer.Option("--version", help="Show the version and exit.", callback=show_version, is_eager=True)
]
Version = Annotated[
    bool,
    typer.Option(
        "--version", help="Show the version and exit.", rich_help_panel=RUNNING, callback=show_version, is_eager=True
    ),
]
Quiet = Annotated[bool, option("--quiet", "-q", help="Only warnings and errors on stderr.", panel=RUNNING)]
Json = Annotated[bool, option("--json", help="One JSON object on stdout instead of paths.", panel=OUT)]
Force = Annotated[bool, option("--force", help="Replace an output made from something else.", panel=OUT)]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="YAML file with a section per command, keys spelt as the options; flags win.",
        rich_help_panel=RUNNING,
        metavar="YAML",
        is_eager=True,
        callback=use_config,
    ),
]

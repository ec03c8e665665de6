"""The options of `dfal review`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import INPUT, NETWORK, OUTPUT, Option, Shapes
from dfal_cli.steps.option_groups import (
    CacheOptions,
    CommonOptions,
    ComputingOptions,
    ImagesOrEmbeddings,
    LabelsFromFolders,
    NetworkOptions,
    PoolOptions,
    SeedOption,
    TrainingOptions,
)


@dataclass(frozen=True, kw_only=True)
class ReviewOptions(
    CommonOptions, CacheOptions, ComputingOptions, SeedOption, TrainingOptions, NetworkOptions, PoolOptions,
    ImagesOrEmbeddings,
):  # fmt: skip
    """The options of `dfal review`."""

    labels_from_folders: LabelsFromFolders = False
    out: Annotated[Path, Option("Query list to write (.csv).", OUTPUT, metavar="FILE", shapes=Shapes.NOTHING)]
    count: Annotated[
        int | None, Option("Maximum number of labels to list.", INPUT, minimum=1, default="all that are probably wrong")
    ] = None
    weights: Annotated[
        Path | None,
        Option("Start from a local state dict (.pth, .safetensors).", NETWORK, metavar="FILE",
               shapes=Shapes.BY_CONTENTS),
    ] = None  # fmt: skip
    pretrained: Annotated[bool, Option("Start from torchvision's pretrained weights, downloaded once.", NETWORK)] = (
        False
    )

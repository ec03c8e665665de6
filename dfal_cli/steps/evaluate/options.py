"""The options of `dfal evaluate`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.checkpoint_options import CheckpointOptions
from dfal_cli.steps.option import INPUT, OUTPUT, Option, Shapes
from dfal_cli.steps.option_groups import CacheOptions, CommonOptions, ComputingOptions, ImagesOrEmbeddings


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(CommonOptions, ComputingOptions, CacheOptions, ImagesOrEmbeddings, CheckpointOptions):
    """The options of `dfal evaluate`."""

    test: Annotated[
        list[Path],
        Option(
            "Labels file of the images to evaluate on; may be repeated.",
            INPUT, metavar="FILE", shapes=Shapes.BY_CONTENTS,
        ),
    ]  # fmt: skip
    exclude: Annotated[
        list[Path],
        Option(
            "CSV file of images to leave out, such as the labels of the training; may be repeated.",
            INPUT, metavar="CSV", shapes=Shapes.BY_CONTENTS,
        ),
    ] = field(default_factory=list)  # fmt: skip
    out: Annotated[
        Path | None,
        Option("Page to write (.html), with pictures of the confused images.", OUTPUT, metavar="FILE",
               shapes=Shapes.NOTHING),
    ] = None  # fmt: skip

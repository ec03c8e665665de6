"""The options of `dfal predict`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.checkpoint_options import ClassifyingOptions
from dfal_cli.steps.option import INPUT, OUTPUT, Option, Shapes


@dataclass(frozen=True, kw_only=True)
class PredictOptions(ClassifyingOptions):
    """The options of `dfal predict`."""

    calibrate: Annotated[
        list[Path],
        Option(
            "Labels file of images that the checkpoint was not trained on, to calibrate the confidences; may be "
            "repeated.",
            INPUT, metavar="FILE", default="what the training recorded", shapes=Shapes.BY_CONTENTS,
        ),
    ] = field(default_factory=list)  # fmt: skip
    out: Annotated[
        Path, Option("Predictions file to write (.csv or .parquet).", OUTPUT, metavar="FILE", shapes=Shapes.NOTHING)
    ]
    probabilities: Annotated[bool, Option("Also write the probability of each class.", OUTPUT)] = False
    min_confidence: Annotated[
        float | None,
        Option("Mark images with a smaller confidence in a column `look`.", OUTPUT, metavar="F", minimum=0, maximum=1),
    ] = None
    to_folder: Annotated[
        Path | None,
        Option(
            "Also write a folder per predicted class, of links to the images.",
            OUTPUT, metavar="DIR", shapes=Shapes.NOTHING,
        ),
    ] = None  # fmt: skip

"""The options of `dfal status`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import INPUT, OUTPUT, Option
from dfal_cli.steps.option_groups import CommonOptions, LabelsFile, SeedOption
from dfal_cli.system.image_roots import ImageRoot


@dataclass(frozen=True, kw_only=True)
class StatusOptions(CommonOptions, SeedOption):
    """The options of `dfal status`."""

    labels: LabelsFile
    images: Annotated[
        ImageRoot | None, Option("Image root, to count the images that are left.", INPUT, metavar="DIR")
    ] = None
    embeddings: Annotated[
        Path | None, Option("Embeddings of the images, to count the images that are left.", INPUT, metavar="FILE")
    ] = None
    scores: Annotated[Path | None, Option("Newest scores file, if it is not in --rounds.", INPUT, metavar="FILE")] = (
        None
    )
    rounds: Annotated[
        Path | None, Option("Folder with the numbered folders of rounds (round.sh).", INPUT, metavar="DIR")
    ] = None
    test: Annotated[
        list[Path],
        Option("Test set, whose images are not left to be labelled; may be repeated.", INPUT, metavar="FILE"),
    ] = field(default_factory=list)
    target: Annotated[
        float,
        Option("Accuracy for which to forecast the number of labels.", INPUT, metavar="F", minimum=0, maximum=1),
    ] = 0.95
    page: Annotated[Path | None, Option("Also write an HTML page.", OUTPUT, metavar="HTML")] = None

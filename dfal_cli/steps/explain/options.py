"""The options of `dfal explain`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import INPUT, OUTPUT, Option
from dfal_cli.steps.option_groups import CommonOptions, LabelsFile
from dfal_cli.system.image_roots import ImageRoot


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(CommonOptions):
    """The options of `dfal explain`."""

    image: Annotated[str, Option("The image, as it is named in the lists.", INPUT, spelling="IMAGE")]
    queries: Annotated[
        Path | None, Option("Query list that asks about the image, or does not.", INPUT, metavar="CSV")
    ] = None
    scores: Annotated[
        Path | None,
        Option("Scores file from dfal score.", INPUT, metavar="FILE", default="the one that the list was made from"),
    ] = None
    embeddings: Annotated[
        Path | None,
        Option("Embeddings of the images (.parquet or .npy).", INPUT, metavar="FILE",
               default="those that list or scores were made from"),
    ] = None  # fmt: skip
    labels: LabelsFile = field(default_factory=list)
    images: Annotated[
        ImageRoot | None,
        Option("Image root, for --page.", INPUT, metavar="DIR", default="that of the scores or embeddings"),
    ] = None
    page: Annotated[Path | None, Option("Also write an HTML page with the pictures.", OUTPUT, metavar="HTML")] = None

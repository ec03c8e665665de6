"""The options of `dfal export`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.schemas import HANDED_TO
from dfal_cli.steps.option import INPUT, OUTPUT, Option, Shapes
from dfal_cli.steps.option_groups import CommonOptions, Images, LabelsFile


@dataclass(frozen=True, kw_only=True)
class ExportOptions(CommonOptions):
    """The options of `dfal export`."""

    queries: Annotated[
        Path,
        Option("Query list, or any table of images (image,label).", INPUT, metavar="CSV", shapes=Shapes.BY_CONTENTS),
    ]
    images: Images
    to: Annotated[str, Option(f"Where the images go: {', '.join(HANDED_TO)}.", OUTPUT, metavar="NAME")]
    out: Annotated[Path, Option("Folder to write.", OUTPUT, metavar="DIR", shapes=Shapes.NOTHING)]
    labels: LabelsFile = field(default_factory=list)
    class_names: Annotated[
        Sequence[str] | None,
        Option(
            "Classes to choose from.",
            INPUT, metavar="A,B,C", default="those of --labels and of the list", comma_separated=True,
        ),
    ] = None  # fmt: skip
    copy: Annotated[bool, Option("Copy the images instead of linking to them.", OUTPUT)] = False

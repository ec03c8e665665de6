"""The options of `dfal score`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.checkpoint_options import ClassifyingOptions
from dfal_cli.steps.option import MARGIN, MEASURES, OUTPUT, Option, Shapes
from dfal_cli.steps.option_groups import MarginOptions, SeedOption


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(SeedOption, MarginOptions, ClassifyingOptions):
    """The options of `dfal score`."""

    out: Annotated[
        Path, Option("Scores file to write (.parquet or .csv).", OUTPUT, metavar="FILE", shapes=Shapes.NOTHING)
    ]
    nearest: Annotated[
        int | None, Option("Compute only the N smallest margins; 0 computes none.", MARGIN, minimum=0, default="all")
    ] = None
    measure: Annotated[
        list[str],
        Option(
            "Additional measure to compute: bald, egl, embedding or probabilities; may be repeated.",
            MEASURES, metavar="NAME",
        ),
    ] = field(default_factory=list)  # fmt: skip
    passes: Annotated[int, Option("Number of dropout samples for bald.", MEASURES, minimum=2)] = 20
    twins: Annotated[int, Option("Keep the adversarial images of the N smallest margins.", OUTPUT, minimum=0)] = 0
    twins_dir: Annotated[
        Path | None, Option("Folder for the adversarial images.", OUTPUT, metavar="DIR", default="<out>.twins")
    ] = None

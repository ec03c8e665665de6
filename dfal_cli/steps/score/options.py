"""The options of `dfal score`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import INPUT, MARGIN, MEASURES, NETWORK, OUTPUT, Option, Shapes
from dfal_cli.steps.option_groups import (
    CommonOptions,
    ImagesOrEmbeddings,
    InferenceOptions,
    MarginOptions,
    PoolOptions,
    SeedOption,
)


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(CommonOptions, InferenceOptions, SeedOption, MarginOptions, PoolOptions, ImagesOrEmbeddings):
    """The options of `dfal score`."""

    checkpoint: Annotated[Path, Option("Checkpoint from dfal train.", INPUT, metavar="FILE", shapes=Shapes.BY_CONTENTS)]
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
    arch: Annotated[
        str | None,
        Option(
            "The checkpoint's network (package.module:function), as an alternative to --trust-code.",
            NETWORK, metavar="NAME", default="that of the checkpoint",
        ),
    ] = None  # fmt: skip
    trust_code: Annotated[
        bool, Option("Allow the checkpoint to import the code of its network.", NETWORK, shapes=Shapes.NOTHING)
    ] = False

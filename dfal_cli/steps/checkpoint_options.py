"""Options of commands that use a checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import INPUT, NETWORK, Option, Shapes
from dfal_cli.steps.option_groups import CommonOptions, ImagesOrEmbeddings, InferenceOptions, PoolOptions


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions:
    """Options of commands that use a checkpoint."""

    checkpoint: Annotated[Path, Option("Checkpoint from dfal train.", INPUT, metavar="FILE", shapes=Shapes.BY_CONTENTS)]
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


@dataclass(frozen=True, kw_only=True)
class ClassifyingOptions(CommonOptions, InferenceOptions, PoolOptions, ImagesOrEmbeddings, CheckpointOptions):
    """Options of commands that classify a pool."""

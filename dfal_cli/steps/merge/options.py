"""The options of `dfal merge`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import INPUT, OUTPUT, Option
from dfal_cli.steps.option_groups import CommonOptions


@dataclass(frozen=True, kw_only=True)
class MergeOptions(CommonOptions):
    """The options of `dfal merge`."""

    queries: Annotated[Path, Option("Answered query list (image,label), or a folder per class.", INPUT, metavar="CSV")]
    labels: Annotated[
        Path, Option("Labels file to merge the answers into; created if it does not exist.", INPUT, metavar="CSV")
    ]
    out: Annotated[Path | None, Option("Write the merged labels to this file instead.", OUTPUT, metavar="CSV")] = None
    images: Annotated[
        Path | None, Option("Image root, to check that the images of the answers exist.", INPUT, metavar="DIR")
    ] = None
    allow_new_classes: Annotated[bool, Option("Accept answers that name new classes.", INPUT)] = False
    class_names: Annotated[
        Sequence[str] | None,
        Option(
            "Accept these class names, exactly as spelled here.",
            INPUT, metavar="A,B,C", default="those in the labels", comma_separated=True,
        ),
    ] = None  # fmt: skip
    on_conflict: Annotated[
        str,
        Option("What to do if an image already has another label: error, keep or replace.", INPUT, metavar="WHAT"),
    ] = "error"
    on_missing: Annotated[
        str,
        Option("What to do if an image no longer exists under --images: error or leave-out.", INPUT, metavar="WHAT"),
    ] = "error"
    dry_run: Annotated[bool, Option("Show what would change without changing anything.", OUTPUT)] = False

    @property
    def root(self) -> Path | None:
        """The image root, if known: --images, or else a folder of answers."""
        return self.images or (self.queries if self.queries.is_dir() else None)

    @property
    def target(self) -> Path:
        """The output file."""
        return self.out or self.labels

"""The options of `dfal merge`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import INPUT, OUTPUT, Option
from dfal_cli.steps.option_groups import CommonOptions
from dfal_cli.system.image_roots import ImageRoot


@dataclass(frozen=True, kw_only=True)
class MergeOptions(CommonOptions):
    """The options of `dfal merge`."""

    queries: Annotated[
        Path,
        Option(
            "Answered query list (image,label), a folder per class, or the answers of a labelling tool.",
            INPUT, metavar="FILE",
        ),
    ]  # fmt: skip
    labels: Annotated[
        Path, Option("Labels file to merge the answers into; created if it does not exist.", INPUT, metavar="CSV")
    ]
    answers: Annotated[
        list[Path],
        Option(
            "Answers to the images of --queries: of a labelling tool, or a copy of the list; may be repeated.",
            INPUT, metavar="FILE",
        ),
    ] = field(default_factory=list)  # fmt: skip
    out: Annotated[Path | None, Option("Write the merged labels to this file instead.", OUTPUT, metavar="CSV")] = None
    images: Annotated[
        ImageRoot | None, Option("Image root, to check that the images of the answers exist.", INPUT, metavar="DIR")
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
        Option(
            "What to do if an image already has another label: error, keep or replace; and if the answers of a tool "
            "differ: error, newest or majority. For both, replace,newest.",
            INPUT, metavar="WHAT",
        ),
    ] = "error"  # fmt: skip
    on_missing: Annotated[
        str,
        Option("What to do if an image no longer exists under --images: error or leave-out.", INPUT, metavar="WHAT"),
    ] = "error"
    dry_run: Annotated[bool, Option("Show what would change without changing anything.", OUTPUT)] = False

    @property
    def conflict_rules(self) -> frozenset[str]:
        """The parts of --on-conflict."""
        return frozenset(part.strip() for part in self.on_conflict.split(","))

    @property
    def against_labels(self) -> str:
        """What to do if an image already has another label: error, keep or replace."""
        return next(iter(self.conflict_rules & {"keep", "replace"}), "error")

    @property
    def among_answers(self) -> str:
        """Which of several answers to an image counts: newest or majority; "" for none."""
        return next(iter(self.conflict_rules & {"newest", "majority"}), "")

    @property
    def target(self) -> Path:
        """The output file."""
        return self.out or self.labels

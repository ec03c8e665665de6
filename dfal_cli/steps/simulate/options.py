"""The options of `dfal simulate`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import INPUT, NETWORK, OUTPUT, ROUNDS, RUNNING, Option, Shapes
from dfal_cli.steps.option_groups import (
    CommonOptions,
    ComputingOptions,
    Images,
    LabelsFromFolders,
    MarginOptions,
    NetworkOptions,
    SeedOption,
    TrainingOptions,
)
from dfal_cli.strategies import DEFAULT_STRATEGIES, STRATEGIES


@dataclass(frozen=True, kw_only=True)
class SimulateOptions(CommonOptions, ComputingOptions, SeedOption, TrainingOptions, NetworkOptions, MarginOptions):
    """The options of `dfal simulate`.

    The `shapes` of these options refer to a run, one strategy in one trial: finished runs are kept, and more can be
    added.
    """

    images: Images
    labels: Annotated[
        list[Path],
        Option(
            "Labels file of the oracle, with a label for every pool image; may be repeated.",
            INPUT,
            metavar="CSV",
            shapes=Shapes.BY_CONTENTS,
        ),
    ] = field(default_factory=list)
    labels_from_folders: LabelsFromFolders = False
    test: Annotated[list[Path], Option("Labels file of test images.", INPUT, metavar="CSV", shapes=Shapes.BY_CONTENTS)]
    out: Annotated[Path, Option("Folder for tables, curves and report.", OUTPUT, metavar="DIR", shapes=Shapes.NOTHING)]
    strategies: Annotated[
        str,
        Option(
            f"Strategies to compare: any of {', '.join(STRATEGIES)}.", ROUNDS, metavar="A,B,C", shapes=Shapes.NOTHING
        ),
    ] = DEFAULT_STRATEGIES
    initial: Annotated[int, Option("Number of random initial labels.", ROUNDS, minimum=1)] = 100
    count: Annotated[int, Option("Number of queries per round.", ROUNDS, minimum=1)] = 100
    budget: Annotated[int, Option("Total number of labels, including the initial ones.", ROUNDS, minimum=1)] = 1000
    trials: Annotated[
        int,
        Option(
            "Number of trials, each with its own initial labels; use at least 5.",
            ROUNDS, minimum=1, shapes=Shapes.NOTHING,
        ),
    ] = 1  # fmt: skip
    train_arch: Annotated[
        str | None,
        Option(
            "Network to train and test on the labels that --arch queries.",
            NETWORK, metavar="NAME", default="same as --arch",
        ),
    ] = None  # fmt: skip
    jobs: Annotated[
        int | None,
        Option(
            "Number of parallel runs; a run is one strategy in one trial.",
            RUNNING, minimum=1, default="one per core; one on a GPU", shapes=Shapes.NOTHING,
        ),
    ] = None  # fmt: skip

    @property
    def strategy_names(self) -> list[str]:
        """The strategies to simulate, without repetitions."""
        return list(dict.fromkeys(name for part in self.strategies.split(",") if (name := part.strip())))

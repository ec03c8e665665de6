"""The options of `dfal simulate`."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import INPUT, NETWORK, OUTPUT, ROUNDS, RUNNING, Option, Shapes
from dfal_cli.steps.option_groups import (
    CommonOptions,
    ComputingOptions,
    ImagesOrEmbeddings,
    LabelsFromFolders,
    MarginOptions,
    NetworkOptions,
    ResizeToSquare,
    SeedOption,
    TrainingOptions,
)
from dfal_cli.strategies import DEFAULT_STRATEGIES, STRATEGIES, STRATEGIES_ON_EMBEDDINGS

STARTS = RANDOM, TYPICAL = "random", "typical"
"""Ways to choose the initial labels."""


@dataclass(frozen=True)
class Plan:
    """The numbers of labels and trials: options whose defaults depend on what is trained."""

    initial: int
    count: int
    budget: int
    trials: int


PLAN_OF_NETWORKS = Plan(initial=100, count=100, budget=1000, trials=1)
LABELS_PER_CLASS, ROUNDS_OF_HEADS, TRIALS_OF_HEADS = 2, 15, 20
"""Defaults for heads: labels per class in each round; rounds, counting that of the initial labels; trials."""


@dataclass(frozen=True, kw_only=True)
class SimulateOptions(
    CommonOptions, ComputingOptions, SeedOption, TrainingOptions, NetworkOptions, MarginOptions, ImagesOrEmbeddings
):
    """The options of `dfal simulate`.

    The `shapes` of these options refer to a run, one strategy in one trial: finished runs are kept, and more can be
    added.
    """

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
            f"Strategies to compare: any of {', '.join(STRATEGIES)}.",
            ROUNDS, metavar="A,B,C", default=f"{DEFAULT_STRATEGIES}; {STRATEGIES_ON_EMBEDDINGS} with embeddings",
            shapes=Shapes.NOTHING,
        ),
    ] = ""  # fmt: skip
    start: Annotated[
        str,
        Option(
            "Initial labels: random, or with embeddings also typical (of a random half of the pool).",
            ROUNDS, metavar="NAME", default="random; typical with embeddings",
        ),
    ] = ""  # fmt: skip
    initial: Annotated[
        int | None,
        Option("Number of initial labels.", ROUNDS, minimum=1, default="100; 2 per class with embeddings"),
    ] = None
    count: Annotated[
        int | None,
        Option("Number of queries per round.", ROUNDS, minimum=1, default="100; 2 per class with embeddings"),
    ] = None
    budget: Annotated[
        int | None,
        Option(
            "Total number of labels, including the initial ones.",
            ROUNDS, minimum=1, default="1000; enough for 15 rounds with embeddings",
        ),
    ] = None  # fmt: skip
    trials: Annotated[
        int | None,
        Option(
            "Number of trials, each with its own initial labels; use at least 5.",
            ROUNDS, minimum=1, default="1; 20 with embeddings", shapes=Shapes.NOTHING,
        ),
    ] = None  # fmt: skip
    train_arch: Annotated[
        str | None,
        Option(
            "Network to train and test on the labels that --arch queries.",
            NETWORK, metavar="NAME", default="same as --arch",
        ),
    ] = None  # fmt: skip
    freeze: Annotated[
        bool,
        Option(
            "Embed the images once by a pretrained network (--arch, lite0 by default), and train heads on it.", NETWORK
        ),
    ] = False
    weights: Annotated[
        Path | None,
        Option(
            "With --freeze: weights file of the network (.pth, .safetensors).",
            NETWORK, metavar="FILE", shapes=Shapes.BY_CONTENTS,
        ),
    ] = None  # fmt: skip
    pretrained: Annotated[bool, Option("With --freeze: download the network's own weights, once.", NETWORK)] = False
    resize: ResizeToSquare = None
    jobs: Annotated[
        int | None,
        Option(
            "Number of parallel runs; a run is one strategy in one trial.",
            RUNNING, minimum=1, default="one per core, or one per GPU", shapes=Shapes.NOTHING,
        ),
    ] = None  # fmt: skip

    @property
    def trains_heads(self) -> bool:
        """Whether heads are trained on embeddings, instead of networks on images."""
        return self.embeddings is not None or self.freeze

    @property
    def start_name(self) -> str:
        """How the initial labels are chosen."""
        return self.start or (TYPICAL if self.trains_heads else RANDOM)

    @property
    def strategy_names(self) -> list[str]:
        """The strategies to simulate, without repetitions."""
        named = self.strategies or (STRATEGIES_ON_EMBEDDINGS if self.trains_heads else DEFAULT_STRATEGIES)
        return list(dict.fromkeys(name for part in named.split(",") if (name := part.strip())))

    def plan(self, classes: int) -> Plan:
        """The numbers of labels and trials, given or by default. classes: number of classes of the oracle."""
        default = PLAN_OF_NETWORKS
        if self.trains_heads:
            count = self.count or LABELS_PER_CLASS * classes
            initial = self.initial or LABELS_PER_CLASS * classes
            default = Plan(initial, count, initial + (ROUNDS_OF_HEADS - 1) * count, TRIALS_OF_HEADS)
        return Plan(**{name: getattr(self, name) or value for name, value in asdict(default).items()})

"""dfal simulate"""

from pathlib import Path
from typing import Annotated

import typer

from dfal_cli.cli.options import (
    IN,
    NETWORK,
    OUT,
    RUNNING,
    Arch,
    Augment,
    BatchSize,
    CandidateClasses,
    Candidates,
    Clip,
    Config,
    Device,
    Epochs,
    Estimator,
    FollowLinks,
    Force,
    Grey,
    Images,
    ImageSize,
    Json,
    LabelsFromFolders,
    LearningRate,
    MaxIterations,
    Monitor,
    Norm,
    Overshoot,
    Patience,
    Preset,
    Quiet,
    Restarts,
    Seed,
    ValidationFraction,
    Version,
    Wait,
    White,
    Workers,
    option,
)
from dfal_cli.cli.run import running
from dfal_cli.strategies import DEFAULT_STRATEGIES, STRATEGIES

ROUNDS = "Rounds"


def simulate(
    context: typer.Context,
    images: Images,
    test: Annotated[list[Path], option("--test", help="Labels file to measure on.", panel=IN, metavar="CSV")],
    out: Annotated[Path, option("--out", help="Folder for tables, curves and report.", panel=OUT, metavar="DIR")],
    labels: Annotated[
        list[Path],
        option("--labels", help="The oracle: a label for every pool image.", panel=IN, metavar="CSV", factory=list),
    ],
    follow_links: FollowLinks = False,
    labels_from_folders: LabelsFromFolders = False,
    strategies: Annotated[
        str,
        option(
            "--strategies",
            help=f"Any of {', '.join(STRATEGIES)}; the README says what each asks about.",
            panel=ROUNDS,
            metavar="A,B,C",
        ),
    ] = DEFAULT_STRATEGIES,
    initial: Annotated[int, option("--initial", help="Random labels to begin with.", panel=ROUNDS, minimum=1)] = 100,
    count: Annotated[int, option("--count", help="Queries a round.", panel=ROUNDS, minimum=1)] = 100,
    budget: Annotated[
        int, option("--budget", help="Labels in all, the initial ones included.", panel=ROUNDS, minimum=1)
    ] = 1000,
    trials: Annotated[
        int,
        option(
            "--trials",
            help="Number of trials, each with its own initial labels; use at least 5.",
            panel=ROUNDS,
            minimum=1,
        ),
    ] = 1,
    candidates: Candidates = None,
    norm: Norm = "l2",
    estimator: Estimator = "deepfool",
    classes: CandidateClasses = None,
    max_iterations: MaxIterations = 50,
    overshoot: Overshoot = 0.02,
    clip: Clip = False,
    preset: Preset = None,
    arch: Arch = None,
    train_arch: Annotated[
        str | None,
        option(
            "--train-arch",
            help="Measure this network, trained on the queries of --arch.",
            panel=NETWORK,
            default="the same",
            metavar="NAME",
        ),
    ] = None,
    image_size: ImageSize = None,
    grey: Grey = None,
    white: White = None,
    epochs: Epochs = 100,
    patience: Patience = None,
    monitor: Monitor = None,
    restarts: Restarts = 1,
    lr: LearningRate = 1e-3,
    batch_size: BatchSize = 32,
    validation_fraction: ValidationFraction = None,
    augment: Augment = None,
    seed: Seed = 0,
    device: Device = "auto",
    jobs: Annotated[
        int | None,
        option(
            "--jobs",
            help="Runs (a strategy in a trial) at a time.",
            default="one per core; one on a GPU",
            panel=RUNNING,
            minimum=1,
        ),
    ] = None,
    workers: Workers = None,
    wait: Wait = 0,
    config: Config = None,
    version: Version = False,
    quiet: Quiet = False,
    json: Json = False,
    force: Force = False,
) -> None:
    """Play whole rounds with an oracle file, to see what a strategy is worth before paying for labels."""
    with running(context) as run:
        from dfal_cli.cli.presets import PRESETS
        from dfal_cli.steps.simulate import SimulateOptions, simulate

        run.apply_preset(PRESETS)
        run.finish(simulate(run.options(SimulateOptions), run.reporter))

"""dfal score"""

from pathlib import Path
from typing import Annotated

import typer

from dfal_cli.cli.options import (
    IN,
    MARGIN,
    OUT,
    RUNNING,
    Arch,
    Cache,
    CacheLimit,
    CandidateClasses,
    Candidates,
    Clip,
    Config,
    Device,
    Estimator,
    Exclude,
    FollowLinks,
    Force,
    Images,
    Json,
    Labels,
    MaxIterations,
    Norm,
    Overshoot,
    Preset,
    Quiet,
    Seed,
    TrustCode,
    Version,
    Wait,
    Workers,
    option,
)
from dfal_cli.cli.run import running

MEASURES = "Further measures"


def score(
    context: typer.Context,
    images: Images,
    checkpoint: Annotated[Path, option("--checkpoint", help="Network from dfal train.", panel=IN, metavar="FILE")],
    out: Annotated[Path, option("--out", help="Scores to write (.parquet or .csv).", panel=OUT, metavar="FILE")],
    labels: Labels = [],  # noqa: B006 - typer copies it
    exclude: Exclude = [],  # noqa: B006
    follow_links: FollowLinks = False,
    candidates: Candidates = None,
    norm: Norm = "l2",
    estimator: Estimator = "deepfool",
    classes: CandidateClasses = None,
    max_iterations: MaxIterations = 50,
    overshoot: Overshoot = 0.02,
    clip: Clip = False,
    nearest: Annotated[
        int | None,
        option(
            "--nearest",
            help="Compute only the N smallest margins; 0: none.",
            default="all",
            panel=MARGIN,
            minimum=0,
        ),
    ] = None,
    measure: Annotated[
        list[str],
        option(
            "--measure",
            help="Add a column: bald, egl, embedding or probabilities; may be repeated.",
            panel=MEASURES,
            metavar="NAME",
        ),
    ] = [],  # noqa: B006
    passes: Annotated[
        int, option("--passes", help="Networks that bald samples by dropout.", panel=MEASURES, minimum=2)
    ] = 20,
    preset: Preset = None,
    twins: Annotated[
        int,
        option("--twins", help="Keep the adversarial images of the N smallest margins.", panel=OUT, minimum=0),
    ] = 0,
    twins_dir: Annotated[
        Path | None, option("--twins-dir", help="Folder for them.", default="<out>.twins", panel=OUT, metavar="DIR")
    ] = None,
    max_unreadable: Annotated[
        float,
        option(
            "--max-unreadable",
            help="Stop if a larger share of the images cannot be read.",
            metavar="F",
            panel=IN,
            minimum=0,
        ),
    ] = 0.05,
    arch: Arch = None,
    trust_code: TrustCode = False,
    seed: Seed = 0,
    device: Device = "auto",
    batch_size: Annotated[
        int | None,
        option("--batch-size", help="Images at a time.", default="found automatically", panel=RUNNING, minimum=1),
    ] = None,
    workers: Workers = None,
    cache: Cache = None,
    cache_limit: CacheLimit = "10GB",
    wait: Wait = 0,
    config: Config = None,
    version: Version = False,
    quiet: Quiet = False,
    json: Json = False,
    force: Force = False,
) -> None:
    """Measure every image of the pool: its margin, confidence and entropy."""
    with running(context) as run:
        from dfal_cli.cli.presets import PRESETS
        from dfal_cli.steps.score import ScoreOptions, score

        run.apply_preset(PRESETS)
        run.finish(score(run.options(ScoreOptions), run.reporter))

"""dfal select"""

from pathlib import Path
from typing import Annotated

import typer

from dfal_cli.cli.options import (
    IN,
    OUT,
    Config,
    Exclude,
    FollowLinks,
    Force,
    Json,
    Labels,
    Quiet,
    Seed,
    Version,
    Wait,
    option,
)
from dfal_cli.cli.run import running
from dfal_cli.strategies import STRATEGIES


def select(
    context: typer.Context,
    count: Annotated[int, option("--count", help="How many images to ask about.", panel=IN, minimum=1)],
    out: Annotated[Path, option("--out", help="Query list to write (.csv).", panel=OUT, metavar="FILE")],
    scores: Annotated[Path | None, option("--scores", help="Scores from dfal score.", panel=IN, metavar="FILE")] = None,
    images: Annotated[
        Path | None,
        option(
            "--images",
            help="Image root: for a first list when nothing is trained yet, or if it is not where --scores has it.",
            panel=IN,
            metavar="DIR",
        ),
    ] = None,
    follow_links: FollowLinks = False,
    labels: Labels = [],  # noqa: B006 - typer copies it
    strategy: Annotated[
        str,
        option("--strategy", help=f"{', '.join(STRATEGIES)}.", panel=IN, metavar="NAME"),
    ] = "dfal",
    exclude: Exclude = [],  # noqa: B006
    preview: Annotated[
        Path | None, option("--preview", help="Also write a page with the images.", panel=OUT, metavar="HTML")
    ] = None,
    with_predictions: Annotated[
        bool, option("--with-predictions", help="Tell the model's guess, which may bias the person.", panel=OUT)
    ] = False,
    round: Annotated[
        int,
        option(
            "--round",
            help="Rounds so far: ceal gives pseudo-labels below an entropy of 0.05 - 0.0033 N nats.",
            panel=IN,
            minimum=0,
        ),
    ] = 0,
    seed: Seed = 0,
    wait: Wait = 0,
    config: Config = None,
    version: Version = False,
    quiet: Quiet = False,
    json: Json = False,
    force: Force = False,
) -> None:
    """Pick the images to ask about next and write them as a list to fill in."""
    with running(context) as run:
        from dfal_cli.steps.select import SelectOptions, select

        run.finish(select(run.options(SelectOptions), run.reporter))

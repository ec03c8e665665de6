"""dfal merge"""

from pathlib import Path
from typing import Annotated

import typer

from dfal_cli.cli.options import (
    IN,
    OUT,
    Config,
    FollowLinks,
    Force,
    Json,
    Quiet,
    Version,
    Wait,
    names_of_classes,
    option,
)
from dfal_cli.cli.run import running


def merge(
    context: typer.Context,
    queries: Annotated[
        Path,
        option("--queries", help="Answered query list (image,label), or a folder per class.", panel=IN, metavar="CSV"),
    ],
    labels: Annotated[
        Path, option("--labels", help="Labels file to fill the answers into; made if absent.", panel=IN, metavar="CSV")
    ],
    out: Annotated[
        Path | None, option("--out", help="Write the labels there instead.", panel=OUT, metavar="CSV")
    ] = None,
    images: Annotated[
        Path | None, option("--images", help="Check that the images are under this folder.", panel=IN, metavar="DIR")
    ] = None,
    follow_links: FollowLinks = False,
    allow_new_classes: Annotated[
        bool, option("--allow-new-classes", help="Accept labels nobody has used before.", panel=IN)
    ] = False,
    class_names: Annotated[
        str | None, names_of_classes("Accept these class names exactly as spelled, comma-separated.")
    ] = None,
    on_conflict: Annotated[
        str,
        option(
            "--on-conflict",
            help="If an image has another label already: error, keep or replace.",
            panel=IN,
            metavar="WHAT",
        ),
    ] = "error",
    dry_run: Annotated[
        bool, option("--dry-run", help="Print what would change, and change nothing.", panel=OUT)
    ] = False,
    wait: Wait = 0,
    config: Config = None,
    version: Version = False,
    quiet: Quiet = False,
    json: Json = False,
    force: Force = False,
) -> None:
    """Fill the answers of a query list into the labels file."""
    with running(context) as run:
        from dfal_cli.steps.merge import MergeOptions, merge

        run.finish(merge(run.options(MergeOptions), run.reporter))

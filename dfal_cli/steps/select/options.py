"""The options of `dfal select`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Self

from dfal_cli.schemas import EMBEDDING_SPACE, PIXEL_SPACE
from dfal_cli.statistics.stopping import RULES
from dfal_cli.steps.keys_file import KeysFile, keys_beside
from dfal_cli.steps.option import INPUT, OUTPUT, Option, Shapes
from dfal_cli.steps.option_groups import CommonOptions, PoolOptions, SeedOption
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.image_roots import ImageRoot

DEFAULT_STRATEGY = {None: "typical", PIXEL_SPACE: "dfal", EMBEDDING_SPACE: "coverage"}
"""The strategy if none is named, by the space of the margins; None for a first list on embeddings, without scores."""


@dataclass(frozen=True, kw_only=True)
class SelectOptions(CommonOptions, SeedOption, PoolOptions):
    """The options of `dfal select`."""

    count: Annotated[int, Option("Number of images to select.", INPUT, minimum=1)]
    out: Annotated[Path, Option("Query list to write (.csv).", OUTPUT, metavar="FILE", shapes=Shapes.NOTHING)]
    scores: Annotated[
        Path | None, Option("Scores file from dfal score.", INPUT, metavar="FILE", shapes=Shapes.BY_CONTENTS)
    ] = None
    embeddings: Annotated[
        Path | None,
        Option(
            "Embeddings of the images (.parquet or .npy), for the first list before a network is trained, or for a "
            "strategy that uses embeddings, if --scores do not name them.",
            INPUT, metavar="FILE", shapes=Shapes.BY_CONTENTS,
        ),
    ] = None  # fmt: skip
    images: Annotated[
        ImageRoot | None,
        Option(
            "Image root, for the first list before a network is trained, or if the images of --scores or --embeddings "
            "have moved.",
            INPUT, metavar="DIR", shapes=Shapes.BY_CONTENTS,
        ),
    ] = None  # fmt: skip
    strategy: Annotated[
        str,
        Option(
            f"Strategy: {', '.join(STRATEGIES)}.",
            INPUT, metavar="NAME", default="dfal; with embeddings coverage, or typical for a first list",
        ),
    ] = ""  # fmt: skip
    control: Annotated[
        float,
        Option(
            "Share of the list to draw at random, mixed in and marked, which measures the accuracy on the pool: 0.1. "
            "See `dfal docs status`.",
            INPUT, metavar="SHARE", minimum=0, maximum=1, default="none",
        ),
    ] = 0.0  # fmt: skip
    stop_when: Annotated[
        Sequence[str] | None,
        Option(
            f"Write no list, and end with exit code 4, if all of these stopping rules hold: {', '.join(RULES)}.",
            INPUT, metavar="RULE,...", comma_separated=True, shapes=Shapes.NOTHING,
        ),
    ] = None  # fmt: skip
    rounds: Annotated[
        Path | None,
        Option(
            "Folder with the numbered folders of rounds (round.sh), for --stop-when.",
            INPUT, metavar="DIR", shapes=Shapes.NOTHING,
        ),
    ] = None  # fmt: skip
    round: Annotated[
        int,
        Option(
            "Round number, for ceal: images whose entropy is below 0.05 - 0.0033 N nats get pseudo-labels.",
            INPUT, minimum=0, shapes=Shapes.NOTHING,
        ),
    ] = 0  # fmt: skip
    preview: Annotated[
        Path | None, Option("Also write an HTML page on which to label the images.", OUTPUT, metavar="HTML",
                            shapes=Shapes.NOTHING),
    ] = None  # fmt: skip
    class_names: Annotated[
        Sequence[str] | None,
        Option(
            "Names of the classes, for the --preview page.",
            INPUT, metavar="A,B,C", default="those of the network and in the labels", comma_separated=True,
            shapes=Shapes.NOTHING,
        ),
    ] = None  # fmt: skip
    keys: KeysFile = None
    with_predictions: Annotated[
        bool, Option("Include the predictions of the network, which may bias the annotator.", OUTPUT)
    ] = False

    @property
    def keys_file(self) -> Path:
        """The file that keeps the keys of the classes."""
        return self.keys or keys_beside(*self.labels[:1], self.out)

    def with_strategy(self, space: str | None = None) -> Self:
        """The same options with the default strategy, if none is given. space: of the margins; None without scores."""
        return replace(self, strategy=self.strategy or DEFAULT_STRATEGY[space])

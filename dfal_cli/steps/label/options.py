"""The options of `dfal label`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from dfal_cli.schemas import CONFLICTS_SUFFIX
from dfal_cli.steps.keys_file import KeysFile, keys_beside
from dfal_cli.steps.option import INPUT, OUTPUT, RUNNING, Option
from dfal_cli.steps.option_groups import CommonOptions, Images, LabelsFile
from dfal_cli.system.files import beside


@dataclass(frozen=True, kw_only=True)
class LabelOptions(CommonOptions):
    """The options of `dfal label`."""

    queries: Annotated[Path, Option("Query list to answer; the answers are written into it.", INPUT, metavar="CSV")]
    images: Images
    labels: LabelsFile = field(default_factory=list)
    class_names: Annotated[
        Sequence[str] | None,
        Option(
            "Names of the classes.", INPUT, metavar="A,B,C", default="those in the labels and answers",
            comma_separated=True,
        ),
    ] = None  # fmt: skip
    keys: KeysFile = None
    predictions: Annotated[
        Path | None,
        Option(
            "Predictions (image,predicted,confidence) or scores, to sort the grid by and to show on request.",
            INPUT, metavar="FILE", default="those in the query list, if any",
        ),
    ] = None  # fmt: skip
    white: Annotated[
        float | None,
        Option(
            "Pixel value of white in images of more than 8 bits, such as 4095 for 12 bits.",
            INPUT, metavar="VALUE", default="found from the images of the list",
        ),
    ] = None  # fmt: skip
    merge: Annotated[
        Path | None,
        Option("Labels file to merge the answers into when all queries are answered.", OUTPUT, metavar="CSV"),
    ] = None
    port: Annotated[
        int | None, Option("Port of the page.", RUNNING, minimum=1, maximum=65_535, default="8350 if it is free")
    ] = None
    host: Annotated[
        str, Option("Address to listen on; 0.0.0.0 lets other machines open the page.", RUNNING, metavar="ADDRESS")
    ] = "127.0.0.1"
    browser: Annotated[bool, Option("Open the page in a browser.", RUNNING, spelling="--browser/--no-browser")] = True

    @property
    def keys_file(self) -> Path:
        """The file that keeps the keys of the classes."""
        return self.keys or keys_beside(*self.labels[:1], self.merge, self.queries)

    @property
    def conflicts_file(self) -> Path:
        """The file that keeps second answers until a person settles them."""
        return beside(self.queries, CONFLICTS_SUFFIX)

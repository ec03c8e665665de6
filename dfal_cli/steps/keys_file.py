"""The option of the pages on which people answer: the file that keeps the key of each class."""

from pathlib import Path
from typing import Annotated

from dfal_cli.schemas import KEYS_SUFFIX
from dfal_cli.steps.option import INPUT, Option, Shapes
from dfal_cli.system.files import beside

KeysFile = Annotated[
    Path | None,
    Option(
        "File (class,key) that keeps the key of each class from round to round; new classes are added to it.",
        INPUT, metavar="CSV", default="`<labels>.keys.csv`; without --labels, `<queries>.keys.csv`",
        shapes=Shapes.NOTHING,
    ),
]  # fmt: skip


def keys_beside(*files: Path | None) -> Path:
    """Return the file that keeps the keys of the classes, beside the first of these files that is not None."""
    return beside(next(filter(None, files)), KEYS_SUFFIX)

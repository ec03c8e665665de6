"""Labels from a folder per class: an image's class is the name of the folder that directly holds it."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfal_cli.schemas import IMAGE, LABEL, TWIN


class FolderLabels(NamedTuple):
    """What folders say of images."""

    table: pd.DataFrame
    """As `read_labels_files` makes it, without twins; its `file` is the image root."""
    left_out: str
    """In words, how many images lie directly in the image root, and have no row; mostly ""."""


def labels_from_folders(root: Path, images: Iterable[str]) -> FolderLabels:
    """The labels of images under an image root, which are named by their paths relative to it."""
    named = [(image, image.rpartition("/")[0]) for image in images]
    rows = [(image, folders.rpartition("/")[2], "", str(root)) for image, folders in named if folders]
    table = pd.DataFrame(rows, columns=[IMAGE, LABEL, TWIN, "file"], dtype=str)
    count = len(named) - len(rows)
    lie = "images lie" if count > 1 else "image lies"
    left_out = f"{count} {lie} directly in {root}, where no folder tells the class"
    return FolderLabels(table.assign(row=range(len(table))), left_out if count else "")

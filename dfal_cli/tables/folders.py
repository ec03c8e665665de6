"""Labels from a folder per class: an image's class is the name of the folder that directly holds it."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from dfal_cli.schemas import IMAGE, LABEL, TWIN


class FolderLabels(NamedTuple):
    """What folders say of images."""

    table: pd.DataFrame
    """Columns image, label, twin (always "")."""
    without_class: int
    """How many images lie in no folder, and have no row."""


def labels_from_folders(images: Iterable[str]) -> FolderLabels:
    """The labels of images, which are paths relative to the image root."""
    named = [(image, image.rpartition("/")[0]) for image in images]
    rows = [(image, folders.rpartition("/")[2], "") for image, folders in named if folders]
    return FolderLabels(pd.DataFrame(rows, columns=[IMAGE, LABEL, TWIN], dtype=str), len(named) - len(rows))

"""Labels from class folders: the class of an image is the name of the folder that directly contains it."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from dfal_cli.errors import plural
from dfal_cli.schemas import IMAGE, LABEL, TWIN
from dfal_cli.system.image_roots import ImageRoot


class FolderLabels(NamedTuple):
    """Labels read from class folders."""

    table: pd.DataFrame
    """The columns of `read_labels_files`, without twins and rows; `file` is the image root."""
    left_out: str
    """A warning that counts the images directly in the image root, which have no class; "" if there are none."""


def labels_from_folders(root: ImageRoot, images: Iterable[str]) -> FolderLabels:
    """Return the labels of images, named by their paths relative to the image root."""
    named = [(image, image.rpartition("/")[0]) for image in images]
    rows = [(image, folders.rpartition("/")[2], "", str(root)) for image, folders in named if folders]
    table = pd.DataFrame(rows, columns=[IMAGE, LABEL, TWIN, "file"], dtype=str)
    count = len(named) - len(rows)
    left_out = f"{count} {plural(count, 'image is', 'images are')} directly in {root}, not in the folder of a class"
    return FolderLabels(table.assign(row=-1), left_out if count else "")

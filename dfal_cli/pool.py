"""The pool: images under the image root that have no label yet."""

from collections.abc import Sequence
from pathlib import Path

from dfal_cli.errors import DataError
from dfal_cli.files import must_exist
from dfal_cli.images.folder import list_images
from dfal_cli.tables import read_excluded, read_labels_files, settled_images


def find_pool(root: Path, labels: Sequence[Path], exclude: Sequence[Path]) -> list[str]:
    """Images under `root`, sorted, that no labels file has settled (labelled or __skip__) and no `exclude` file names.

    Raises UsageError if a named file or folder does not exist, DataError if nothing is left.
    """
    must_exist(root, "--images", folder=True)
    images = list_images(root)
    if not images:
        raise DataError(f"{root}: no images there (png, jpg, jpeg, gif, bmp, tif, tiff, webp)")
    taken = settled_images(read_labels_files(labels)) | read_excluded(exclude)
    pool = [image for image in images if image not in taken]
    if not pool:
        raise DataError(f"{root}: the pool is empty: all {len(images)} images are labelled or excluded")
    return pool

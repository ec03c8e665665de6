"""Twins on disk: adversarial images of queries, stored as floats since 8-bit rounding would erase a perturbation.

In pixel space a twin is an image, (C, H, W), in units of [0, 1]; in embedding space it is an embedding, (d,).
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import UsageError, is_transient
from dfal_cli.schemas import TWIN
from dfal_cli.system.files import atomic_output, beside, is_file, locked, remove_leftovers
from dfal_cli.system.paths import relative_to_file
from dfal_cli.tables import read_labels_files

TWINS_SUFFIX = ".twins"
"""Suffix of the default folder of twins, beside the scores file."""

MAX_NAME_BYTES = 240
"""File systems allow 255 bytes; the temporary file beside the twin needs the rest."""


class TwinError(Exception):
    """The twin is missing or damaged."""


class TwinShapeError(TwinError):
    """The twin has another shape."""


def twins_folder(out: Path, folder: Path | None) -> Path:
    """Return the folder of the twins of a scores file: the given one, or else one beside the file."""
    return folder or beside(out, TWINS_SUFFIX)


@contextlib.contextmanager
def locked_twins(out: Path, folder: Path | None, wait: float, tell: Callable[[str], None]) -> Iterator[None]:
    """Lock the folder of twins, which several scores files may share; it may be complete, as for `locked`."""
    twins = twins_folder(out, folder)
    with locked(twins, wait, tell, folder=True, may_be_complete=True):
        for place, _, _ in os.walk(twins):
            remove_leftovers(Path(place), lambda name: name.endswith(".npy"))
        yield


class TwinStore:
    """The folder of the twins of one scores file."""

    def __init__(self, out: Path, folder: Path | None, labels: Sequence[Path]) -> None:
        self._out = out
        self._folder = twins_folder(out, folder)
        # A twin that a labels file refers to is training data.
        self._in_use = {Path(twin).resolve() for twin in read_labels_files(labels)[TWIN] if twin}

    def save(self, image: str, twin: np.ndarray) -> str:
        """Write a twin, float32; return its path relative to the scores file.

        Raises UsageError if a labels file refers to the twin that would be overwritten.
        """
        path = self._folder / twin_name(image)
        if path.resolve() in self._in_use:
            raise UsageError(f"{path}: a labels file refers to this twin; choose another --twins-dir")
        content = io.BytesIO()
        np.save(content, twin)  # in memory: np.save to a file hides the cause of a write error
        with atomic_output(path) as temporary:
            temporary.write_bytes(content.getvalue())
        return relative_to_file(path, self._out)


def read_twin(path: Path, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Read a twin of this shape. Raises TwinError; the header is checked before memory is allocated for the data."""
    try:
        if not is_file(path):  # reading a FIFO would block
            raise TwinError
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise TwinError
            found, _, kind = np.lib.format.read_array_header_1_0(file)
            if kind != np.float32:
                raise TwinError
            if found != tuple(shape):
                raise TwinShapeError
            file.seek(0)
            twin: npt.NDArray[np.float32] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        if is_transient(error):
            raise
        raise TwinError from None
    if not np.isfinite(twin).all():
        raise TwinError
    return twin


def twin_name(image: str) -> str:
    """Return `<image path>.npy`, or `<sha256 of the image path>.npy` if that path is not possible.

    It is not possible if a part is too long, or if a folder could have the name of another image's twin.
    """
    name = f"{image}.npy"
    *folders, _ = parts = name.split("/")
    if max(len(part.encode()) for part in parts) > MAX_NAME_BYTES or any(part.endswith(".npy") for part in folders):
        return f"{hashlib.sha256(image.encode()).hexdigest()}.npy"
    return name

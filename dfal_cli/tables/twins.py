"""Twins on disk: the adversarial images of queries, as floats, because 8-bit rounding would erase the perturbation."""

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
"""Of the folder beside a scores file that holds its twins, unless another one is named."""

LONGEST_NAME = 240
"""Bytes a file name may have here: file systems take 255, and the temporary neighbour needs some."""


class TwinError(Exception):
    """There is no twin there, or it is damaged."""


class MisfitTwinError(TwinError):
    """The twin is of another size."""


@contextlib.contextmanager
def locked_twins(out: Path, folder: Path | None, wait: float, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the right to write the folder of twins, which several scores files may share; otherwise as `locked`."""
    twins = folder or beside(out, TWINS_SUFFIX)
    with locked(twins, wait, tell, folder=True):
        for place, _, _ in os.walk(twins):
            remove_leftovers(Path(place), lambda name: name.endswith(".npy"))
        yield


class TwinStore:
    """The folder in which the twins of one scores file lie."""

    def __init__(self, out: Path, folder: Path | None, labels: Sequence[Path]) -> None:
        self._out = out
        self._folder = folder or beside(out, TWINS_SUFFIX)
        # A twin that somebody's labels refer to is training data.
        self._in_use = {Path(twin).resolve() for twin in read_labels_files(labels)[TWIN] if twin}

    def save(self, image: str, twin: np.ndarray) -> str:
        """Write a twin, (C, H, W) float32 in units of [0, 1]; return its path relative to the scores file.

        Raises UsageError rather than overwrite a twin that a labels file refers to.
        """
        path = self._folder / twin_name(image)
        if path.resolve() in self._in_use:
            raise UsageError(f"{path}: a labels file refers to this twin; choose another --twins-dir")
        content = io.BytesIO()
        np.save(content, twin)  # into a file, numpy would not say what went wrong
        with atomic_output(path) as temporary:
            temporary.write_bytes(content.getvalue())
        return relative_to_file(path, self._out)


def read_twin(path: Path, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """The twin, (C, H, W). Raises TwinError, before memory is taken for what the file only claims to hold."""
    try:
        if not is_file(path):  # a FIFO would keep us waiting
            raise TwinError
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise TwinError
            found, _, kind = np.lib.format.read_array_header_1_0(file)
            if kind != np.float32:
                raise TwinError
            if found != tuple(shape):
                raise MisfitTwinError
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
    """`<image path>.npy`; what the file system cannot take so becomes its sha256.

    That is a part too long, or a folder that may have the name of another image's twin.
    """
    name = f"{image}.npy"
    *folders, _ = parts = name.split("/")
    if max(len(part.encode()) for part in parts) > LONGEST_NAME or any(part.endswith(".npy") for part in folders):
        return f"{hashlib.sha256(image.encode()).hexdigest()}.npy"
    return name

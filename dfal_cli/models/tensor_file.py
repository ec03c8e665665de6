"""Reading untrusted safetensors files: the header is validated before memory is allocated for tensors.

Only `TensorFile.load` needs torch.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar

import numpy.typing as npt
from safetensors import SafetensorError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

LONGEST_HEADER = 100_000_000
"""Maximum size of a header in bytes, by the definition of the file format."""


class DamagedError(Exception):
    """The file is damaged, or not a safetensors file; the message says how."""


DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "C64": "complex64", "I64": "int64",
    "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""Names of types in the file format -> their names in torch and numpy."""


class TensorInfo(NamedTuple):
    """Type and shape of a tensor, as the header gives them."""

    dtype: str
    """Name in torch and numpy."""
    shape: tuple[int, ...]


class TensorFile:
    """An open safetensors file. It is read, not mapped: truncating a mapped file would kill the process."""

    def __init__(self, handle: BinaryIO, size: int) -> None:
        self._handle = handle
        self._size = size
        header = _read_header(handle, size)
        self.metadata: dict[str, Any] = header.pop("__metadata__", {})
        self.tensors = {name: _tensor_info(name, info) for name, info in header.items()}

    def load(self) -> "tuple[dict[str, Tensor], str]":
        """Return the tensors, and the SHA-256 of the file. Raises DamagedError."""
        from safetensors.torch import load

        return self._loaded_by(load)

    def load_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], str]:
        """Return the tensors as numpy arrays, and the SHA-256 of the file. Raises DamagedError."""
        from safetensors.numpy import load

        return self._loaded_by(load)

    def _loaded_by(self, load: Callable[[bytes], dict[str, T]]) -> tuple[dict[str, T], str]:
        self._handle.seek(0)
        content = self._handle.read(self._size)
        try:
            return load(content), hashlib.sha256(content).hexdigest()
        except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise DamagedError(" ".join(str(error).split())[:200]) from None


@contextlib.contextmanager
def opened_tensors(path: Path) -> Iterator[TensorFile]:
    """Open a safetensors file and read its header. Raises DamagedError if the header is missing or invalid."""
    with path.open("rb") as handle:
        yield TensorFile(handle, path.stat().st_size)


def _read_header(handle: BinaryIO, size: int) -> dict[str, Any]:
    length = int.from_bytes(handle.read(8), "little")
    if not 0 < length <= min(size - 8, LONGEST_HEADER):
        raise DamagedError("not a safetensors file, or an incomplete one")
    try:
        header = json.loads(handle.read(length))
    except (ValueError, RecursionError):  # RecursionError: deeply nested JSON
        raise DamagedError("its header is not JSON") from None
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise DamagedError("its header is not a table of tensors")
    return header


def _tensor_info(name: str, info: Any) -> TensorInfo:
    match info:
        case {"dtype": str(dtype), "shape": list(shape)} if dtype in DTYPES and all(
            type(side) is int for side in shape
        ):
            return TensorInfo(DTYPES[dtype], tuple(shape))
    raise DamagedError(f"its header has no valid shape and type for {name:.80}")

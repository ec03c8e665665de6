"""Checkpoints of heads: a head, and the backbone if it is known, with which the checkpoint also classifies images.

Reading and writing them needs no torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import DataError, UsageError
from dfal_cli.models.metadata import HEAD_ARCHITECTURE, is_head, opened_checkpoint, read_metadata
from dfal_cli.models.tensor_file import DamagedError, TensorInfo, opened_tensors
from dfal_cli.schemas import BACKBONE_SUFFIX, CONTRACT, METADATA_KEY
from dfal_cli.system.files import atomic_output, beside
from dfal_cli.system.fingerprints import canonical_json

WEIGHT, BIAS = "head.weight", "head.bias"
BACKBONE = "backbone.body."
"""Prefix of the names of the backbone's tensors."""
INPUT_FIELDS = ("input_shape", "white", "resize", "normalisation")
"""What a backbone's description says about its input; the checkpoint of a head says it about its own."""
BACKBONE_FIELDS = ("backbone", "weights_sha256", "dimension", *INPUT_FIELDS)
"""Description of a backbone in the metadata of embeddings."""

Weights = Mapping[str, npt.NDArray[Any]]


class LoadedHead(NamedTuple):
    """A trained head."""

    weight: npt.NDArray[np.float64]
    """(K, d), of embeddings of unit length."""
    bias: npt.NDArray[np.float64]
    """(K,)"""
    classes: tuple[str, ...]
    """The K class names, in the order of the logits."""
    metadata: dict[str, Any]
    """All metadata of the checkpoint. `embeddings` describes the backbone of the embeddings it was trained on, as far
    as it is known; `backbone` does so too if the checkpoint holds its weights, and is None otherwise."""
    sha256: str
    """SHA-256 of the checkpoint file."""

    def logits(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the logits of embeddings of unit length, (n, d) -> (n, K), computed in float64."""
        logits: npt.NDArray[np.float64] = vectors.astype(np.float64) @ self.weight.T + self.bias
        return logits


def save_head(
    path: Path,
    weight: npt.NDArray[np.float64],
    bias: npt.NDArray[np.float64],
    *,
    classes: tuple[str, ...],
    embeddings: Mapping[str, Any],
    backbone: Weights | None,
    extra_metadata: Mapping[str, Any],
) -> None:
    """Write a head, weight (K, d) and bias (K,), so that `load_head` can read it; equal arguments give equal bytes.

    embeddings: the metadata of the embeddings it was trained on; {} if dfal did not make them.
    backbone: the weights of their backbone; None if they are not known. extra_metadata: further JSON values to store.
    """
    from safetensors.numpy import save

    description = {name: embeddings[name] for name in BACKBONE_FIELDS if name in embeddings}
    metadata = {
        "contract": CONTRACT,
        "architecture": {"name": HEAD_ARCHITECTURE, "arguments": {"dimension": weight.shape[1]}},
        "classes": classes,
        "embeddings": description,
        "backbone": description if backbone is not None else None,
        **{name: description.get(name) if backbone is not None else None for name in INPUT_FIELDS},
        **extra_metadata,
    }
    tensors = {WEIGHT: weight.astype(np.float32), BIAS: bias.astype(np.float32)}
    tensors |= {f"{BACKBONE}{name}": np.asarray(value, order="C") for name, value in (backbone or {}).items()}
    with atomic_output(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={METADATA_KEY: canonical_json(metadata)}))


def load_head(path: Path, option: str = "--checkpoint") -> LoadedHead:
    """Load a head, without its backbone. Raises UsageError if there is none in the file, DataError if it is invalid."""
    with opened_checkpoint(path, option) as stored:
        metadata = read_metadata(path, stored.metadata)
        if not is_head(metadata):
            raise UsageError(
                f"{path}: classifies images, not embeddings; use it with --images, or train a head with "
                "`dfal train --embeddings`"
            )
        classes, dimension = tuple(metadata["classes"]), metadata["architecture"]["arguments"]["dimension"]
        shapes = {WEIGHT: (len(classes), dimension), BIAS: (len(classes),)}
        if any(stored.tensors.get(name) != TensorInfo("float32", shape) for name, shape in shapes.items()):
            raise DataError(f"{path}: its head does not match its metadata; train again")
        arrays, sha256 = stored.load_arrays()
    weight, bias = (arrays[name].astype(np.float64) for name in shapes)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise DataError(f"{path}: its head is not finite; train again")
    return LoadedHead(weight, bias, classes, metadata, sha256)


def check_fit(checkpoint: Path, head: LoadedHead, file: Path, length: int, embeddings: Mapping[str, Any]) -> None:
    """Raise DataError if the head was trained on embeddings of another length, or of another backbone.

    length: that of the embeddings in the file. embeddings: their metadata; {} if dfal did not make them.
    """
    dimension = head.weight.shape[1]
    if length != dimension:
        raise DataError(
            f"{file}: its embeddings have {length} numbers, but {checkpoint} was trained on "
            f"embeddings of {dimension}; use the embeddings that it was trained on, or train again"
        )
    for name in BACKBONE_FIELDS:
        trained_on, found = head.metadata["embeddings"].get(name), embeddings.get(name)
        if None not in (trained_on, found) and trained_on != found:
            raise DataError(
                f"{file}: was made with {_made_with(name, found)}, but "
                f"{checkpoint} was trained on embeddings made with {_made_with(name, trained_on)}; "
                "embed in the same way with the same backbone, or train again"
            )


def _made_with(field: str, value: Any) -> str:
    """A field of a backbone's description in words: as the option that sets it, if there is one."""
    match field, value:
        case "backbone", _:
            return f"--backbone {value}"
        case "white", _:
            return f"--white {value}"
        case "input_shape", [_, _, side]:
            return f"--image-size {side}"
        case "resize", {"how": how, "shorter_side": None, "interpolation": way}:
            return f"--resize {how} ({way})"
        case "resize", {"how": how, "shorter_side": side, "interpolation": way}:
            return f"--resize {how} ({way}, shorter side {side})"
    return f"{field.replace('_', ' ').removesuffix(' sha256')} {value}"


def read_backbone(embeddings: Path, metadata: Mapping[str, Any]) -> Weights | None:
    """Return the weights of the backbone that `dfal embed` wrote beside the embeddings.

    None if there are none, or if they are not those with which the embeddings were made, according to their metadata.
    Raises DataError if the file is damaged.
    """
    path = beside(embeddings, BACKBONE_SUFFIX)
    if "weights_sha256" not in metadata or not path.is_file():
        return None
    try:
        with opened_tensors(path) as stored:
            description = stored.metadata.get(METADATA_KEY, "")
            if f'"weights_sha256":{canonical_json(metadata["weights_sha256"])}' not in description:
                return None
            return stored.load_arrays()[0]
    except DamagedError as error:
        raise DataError(f"{path}: damaged: {error}; remove it and run `dfal embed` again") from None

"""<embeddings>.backbone.safetensors: the weights of a backbone beside the embeddings that it has computed.

With them, a head that is trained on these embeddings becomes a checkpoint that classifies images.
"""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save

from dfal_cli.models.backbones import Backbone
from dfal_cli.models.tensor_file import DamagedError, opened_tensors
from dfal_cli.schemas import CONTRACT, METADATA_KEY
from dfal_cli.system.files import atomic_output
from dfal_cli.system.fingerprints import canonical_json


def save_backbone(path: Path, backbone: Backbone) -> None:
    """Write the weights and the description of a backbone; equal backbones give equal bytes."""
    state = backbone.model.body.state_dict()
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    metadata = {"contract": CONTRACT, **backbone.metadata}
    with atomic_output(path) as temporary:
        temporary.write_bytes(save(weights, metadata={METADATA_KEY: canonical_json(metadata)}))


def holds_backbone(path: Path, metadata: dict[str, Any]) -> bool:
    """Return whether the file holds the backbone that the metadata of embeddings describe."""
    try:
        with opened_tensors(path) as stored:
            own = json.loads(stored.metadata.get(METADATA_KEY, "{}"))
    except (FileNotFoundError, DamagedError, ValueError, TypeError, RecursionError):
        return False
    return isinstance(own, dict) and own.items() <= metadata.items() and "weights_sha256" in own

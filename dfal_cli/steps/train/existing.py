"""What an existing checkpoint was made from, and the labels files that a new one is made from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfal_cli.errors import UsageError
from dfal_cli.models.metadata import read_checkpoint_metadata
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.differences import describe_changes, provenance
from dfal_cli.system.fingerprints import sha256_or_empty
from dfal_cli.training.checkpoint_inputs import CHANGE_TEXTS


def label_hashes(options: TrainOptions) -> dict[str, list[str]]:
    """Hashes of the labels files before training, during which answers may be merged into them."""
    files = {"labels": options.labels, "pseudo_labels": options.pseudo_labels}
    return {f"{name}_sha256": [sha256_or_empty(path) for path in paths] for name, paths in files.items()}


def existing_result(out: Path, inputs: Mapping[str, Any]) -> Result:
    """The result of the existing checkpoint. Raises UsageError if it was made from other inputs."""
    metadata = read_checkpoint_metadata(out)
    match metadata:
        case {"made_from": made_from, "counts": dict(counts), "metrics": dict(metrics), "classes": classes}:
            if made_from == provenance(inputs)["made_from"]:
                return up_to_date([out], counts, {**metrics, "classes": classes})
    change = describe_changes(metadata, inputs, CHANGE_TEXTS)
    raise UsageError(f"{out}: exists, and was made {change}; choose another --out, or use --force to overwrite it")

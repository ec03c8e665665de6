"""Metadata about what a checkpoint was made from, and whether an existing one is up to date."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dfal_cli import __version__
from dfal_cli.errors import UsageError
from dfal_cli.models.metadata import read_checkpoint_metadata
from dfal_cli.schemas import LABEL
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.differences import describe_changes, provenance
from dfal_cli.training.checkpoint_inputs import CHANGE_TEXTS
from dfal_cli.training.label_sets import LabelSets
from dfal_cli.training.trained_images import TRAINED_IMAGES, packed_hashes


def existing_result(out: Path, inputs: Mapping[str, Any]) -> Result:
    """The result of the existing checkpoint. Raises UsageError if it was made from other inputs."""
    metadata = read_checkpoint_metadata(out)
    match metadata:
        case {"made_from": made_from, "counts": dict(counts), "metrics": dict(metrics), "classes": classes}:
            if made_from == provenance(inputs)["made_from"]:
                return up_to_date([out], counts, {**metrics, "classes": classes})
    change = describe_changes(metadata, inputs, CHANGE_TEXTS)
    raise UsageError(f"{out}: exists, and was made {change}; choose another --out, or use --force to overwrite it")


def extra_metadata(
    options: TrainOptions,
    sets: LabelSets,
    content_hashes: Mapping[str, Sequence[str]],
    metrics: Mapping[str, Any],
    counts: Mapping[str, int],
    hashes: Mapping[str, Any],
    inputs: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the metadata of a checkpoint that are not about the model. hashes: of the labels files.

    content_hashes: of the images, as of `LabelSets.content_hashes`.
    """
    label_counts = sets.labels[LABEL].value_counts()
    return {
        "seed": options.seed, "label_counts": {name: int(label_counts.get(name, 0)) for name in sets.classes},
        TRAINED_IMAGES: packed_hashes(content_hashes["labels"]), "dfal": __version__,
        "metrics": metrics, "counts": counts, **hashes, **provenance(inputs),
    }  # fmt: skip

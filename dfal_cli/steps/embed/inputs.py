"""What determines the embeddings: whether those of an earlier call are still valid."""

from typing import Any

from dfal_cli.errors import DataError, UsageError
from dfal_cli.images.decode import DECODING
from dfal_cli.models.backbones import default_backbone, source_of
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.steps.option import settings_of
from dfal_cli.system.differences import describe_changes, provenance
from dfal_cli.system.fingerprints import sha256_of
from dfal_cli.tables.embeddings import read_embeddings_metadata
from dfal_cli.training.architecture import code_sha256

CHANGE_TEXTS = {
    "weights": "with other --weights",
    "code": "with other code of the backbone",
    "decoding": "by a version of dfal that decodes images differently",
}
"""Descriptions of changed inputs, for messages."""


def embed_inputs(options: EmbedOptions) -> dict[str, Any]:
    """What determines the embedding of an image, ready for JSON. Raises UsageError if there is no such backbone."""
    backbone = options.backbone or default_backbone()
    source_of(backbone)
    return {
        "settings": {**settings_of(options), "backbone": backbone},
        "weights": options.weights and sha256_of(options.weights),
        "code": code_sha256(backbone),
        "decoding": DECODING,
    }


def read_earlier(options: EmbedOptions, inputs: dict[str, Any]) -> dict[str, Any] | None:
    """Return the metadata of the existing output, whose embeddings are valid for images that have not changed.

    None if there is no output, or with --force. Raises UsageError if the output was made from other inputs.
    """
    if options.force or not options.out.exists():
        return None
    try:
        metadata = read_embeddings_metadata(options.out)
    except DataError:  # not Parquet, or from another version
        metadata = {}
    if not metadata:
        raise UsageError(
            f"{options.out}: exists and was not written by this version of `dfal embed`; choose another --out, "
            "or use --force to overwrite it"
        )
    if metadata.get("made_from") != provenance(inputs)["made_from"]:
        raise made_otherwise(options, describe_changes(metadata, inputs, CHANGE_TEXTS))
    return metadata


def made_otherwise(options: EmbedOptions, change: str) -> UsageError:
    """Return the error that the existing output was made from other inputs."""
    return UsageError(
        f"{options.out}: exists, and was made {change}; choose another --out, or use --force to overwrite it"
    )

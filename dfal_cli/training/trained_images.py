"""The images that a checkpoint was trained on: short hashes of their contents in its metadata."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TRAINED_IMAGES = "trained_images"
"""Key of the metadata."""

BYTES = 6
"""Of each hash: among 10,000 images, an image that is none of them equals one with a probability of 4e-11."""


def packed_hashes(content_hashes: Iterable[str]) -> str:
    """Return the beginnings of hexadecimal hashes, sorted, as text; a hash that is unknown, "", is left out."""
    short = {bytes.fromhex(each[: 2 * BYTES]) for each in content_hashes if each}
    return base64.b64encode(b"".join(sorted(short))).decode()


def trained_among(content_hashes: Sequence[str], metadata: Mapping[str, Any]) -> list[bool] | None:
    """Return which of n images a checkpoint with these metadata was trained on; None if it does not say.

    content_hashes: "" where unknown. They must be of the same kind as those of the training: of image files, or of
    embeddings.
    """
    try:
        packed = base64.b64decode(metadata[TRAINED_IMAGES], validate=True)
    except (KeyError, TypeError, ValueError):  # from an earlier version, or damaged
        return None
    known = {packed[start : start + BYTES] for start in range(0, len(packed), BYTES)}
    return [bool(each) and bytes.fromhex(each[: 2 * BYTES]) in known for each in content_hashes]

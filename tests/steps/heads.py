"""A head on embeddings of no backbone in particular, for the tests of predict and evaluate."""

from pathlib import Path
from typing import Any

import numpy as np

from dfal_cli.models.head_file import save_head
from dfal_cli.tables.embeddings import write_embeddings
from dfal_cli.tables.vectors import Values, unit_length

CLASSES = ("ant", "bee", "cat")
DIMENSION = 6


def names(count: int) -> list[str]:
    """The names of images."""
    return [f"{number:03d}.png" for number in range(count)]


def vectors(count: int) -> Values:
    """Their embeddings, (n, d), of any length."""
    return 3 * np.random.default_rng(0).standard_normal((count, DIMENSION), np.float32)


def weights() -> tuple[np.ndarray, np.ndarray]:
    """Weight (K, d) and bias (K,) of the head, as they are stored."""
    generator = np.random.default_rng(1)
    weight, bias = 4 * generator.normal(size=(len(CLASSES), DIMENSION)), generator.normal(size=len(CLASSES)) / 10
    return weight.astype(np.float32).astype(np.float64), bias.astype(np.float32).astype(np.float64)


def logits(count: int) -> np.ndarray:
    """The logits of the images, (n, K), computed in one line."""
    weight, bias = weights()
    return unit_length(vectors(count)).astype(np.float64) @ weight.T + bias


def make_head(path: Path, classes: tuple[str, ...] = CLASSES, **metadata: Any) -> None:
    """Write the head; `metadata` as a training would add them."""
    save_head(path, *weights(), classes=classes, embeddings={}, backbone=None, extra_metadata=metadata)


def make_project(root: Path, count: int = 40, **metadata: Any) -> Path:
    """Make `root`/e.parquet, which another program made, and `root`/head.safetensors."""
    write_embeddings(root / "e.parquet", [(names(count), vectors(count))], {})
    make_head(root / "head.safetensors", **metadata)
    return root

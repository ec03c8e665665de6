"""Embeddings that another program made, a head for them, and `dfal score` of them."""

import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow.parquet as pq
import pytest

from dfal_cli.models.head_file import save_head
from dfal_cli.tables.embeddings import write_embeddings
from tests.conftest import dfal

CLASSES = ("ant", "bee", "cat", "dog")
DIMENSION = 8
BACKBONE = {"backbone": "lite0", "weights_sha256": "0" * 64, "input_shape": [3, 224, 224], "dimension": DIMENSION}
COUNT = 40


def names(count=COUNT):
    """The names of images."""
    return [f"{number:03d}.png" for number in range(count)]


def vectors(count=COUNT, dimension=DIMENSION, seed=0):
    """Their embeddings, (n, d), of any length."""
    return 3 * np.random.default_rng(seed).standard_normal((count, dimension), np.float32)


def make_head(path, seed=1, dimension=DIMENSION, embeddings=MappingProxyType({}), **metadata):
    """Write a head of random weights; `embeddings` and `metadata` as a training would add them."""
    generator = np.random.default_rng(seed)
    weight, bias = generator.normal(size=(len(CLASSES), dimension)), generator.normal(size=len(CLASSES)) / 10
    save_head(Path(path), weight, bias, classes=CLASSES, embeddings=embeddings, backbone=None, extra_metadata=metadata)


@pytest.fixture
def project(in_tmp):
    """A folder with e.parquet, which another program made, and the checkpoint of a head, head.safetensors."""
    write_embeddings(in_tmp / "e.parquet", [(names(), vectors())], {})
    make_head(in_tmp / "head.safetensors")
    return in_tmp


def score(*further, out="s.parquet", embeddings="e.parquet", checkpoint="head.safetensors"):
    """`dfal score` of the embeddings."""
    return dfal("score", "--embeddings", embeddings, "--checkpoint", checkpoint, "--out", out, *further)


def scored(*further, **settings):
    """The scores, after it has ended well."""
    ended = score(*further, **settings)
    assert ended.code == 0, ended.stderr
    return pq.read_table("s.parquet").to_pandas()


def metadata(path="s.parquet"):
    """What stands beside the scores in their file."""
    return json.loads(pq.read_schema(path).metadata[b"dfal"])


def assert_refused(ended, code, *said):
    """It ended with this code, and said all that, without a traceback."""
    assert ended.code == code, ended.stderr
    for text in said:
        assert text in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""

"""score --embeddings --twins: vectors across the boundary, which select, merge and train carry on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli.margins.linear import linear_margins
from dfal_cli.models.head_file import load_head
from dfal_cli.tables.vectors import unit_length
from tests.conftest import dfal, draw_folder, write
from tests.steps.scoring_embeddings import CLASSES, DIMENSION, assert_refused, names, project, score, scored, vectors

__all__ = ["project"]


def test_twins_are_vectors_across_the_boundary_and_carried_into_the_labels(project):
    table = scored("--twins", 6)
    head = load_head(Path("head.safetensors"))
    kept = table[table["twin"].notna()]
    assert set(kept["image"]) == set(table.nsmallest(6, "margin")["image"])
    for row in kept.itertuples():
        twin, image = np.load(row.twin), unit_length(vectors())[names().index(row.image)]
        assert (twin.shape, twin.dtype) == ((DIMENSION,), np.float32)
        assert CLASSES[linear_margins(twin[None], head.weight, head.bias).predicted[0]] == row.crossing_class
        assert np.linalg.norm(twin - image) == pytest.approx(1.02 * row.margin, abs=1e-4)
    select = ("select", "--scores", "s.parquet", "--strategy", "dfal", "--count", 4)
    assert dfal(*select, "--out", "night/q.csv").code == 0
    queries = pd.read_csv("night/q.csv", dtype=str).assign(label="ant")
    queries.to_csv("night/q.csv", index=False)
    assert dfal("merge", "--queries", "night/q.csv", "--labels", "labels.csv").code == 0
    labels = pd.read_csv("labels.csv", dtype=str)
    assert [np.load(twin).shape for twin in labels["twin"]] == [(DIMENSION,)] * 4


def test_a_round_trains_on_the_twins_of_the_round_before(project):
    first = [f"{name},{'ant' if number % 2 else 'bee'}" for number, name in enumerate(names()[:12])]
    write(project / "labels.csv", "image,label", *first)
    trained_on = ("train", "--embeddings", "e.parquet", "--labels", "labels.csv", "--out", "head.safetensors", "--json")
    assert dfal(*trained_on, "--force").json["counts"]["twins"] == 0
    scored("--twins", 4, "--labels", "labels.csv")
    assert dfal("select", "--scores", "s.parquet", "--count", 6, "--out", "q.csv").code == 0
    pd.read_csv("q.csv", dtype=str).assign(label="ant").to_csv("q.csv", index=False)
    assert dfal("merge", "--queries", "q.csv", "--labels", "labels.csv").code == 0
    ended = dfal(*trained_on, "--force")
    assert (ended.json["counts"]["labelled"], ended.json["counts"]["twins"]) == (18, 4)


def test_a_network_for_images_leaves_out_twins_of_embeddings_with_a_warning(in_tmp):
    draw_folder(in_tmp, each=5)
    np.save("pixels.npy", np.full((1, 16, 16), 0.5, np.float32))
    np.save("embedding.npy", np.full(DIMENSION, 0.5, np.float32))
    rows = [f"{line},{twin}" for line, twin in zip(
        (in_tmp / "oracle.csv").read_text().splitlines()[1:], ["pixels.npy", "embedding.npy", *[""] * 8], strict=True
    )]  # fmt: skip
    write(in_tmp / "labels.csv", "image,label,twin", *rows)
    training = ("train", "--images", "images", "--labels", "labels.csv", "--out", "m.safetensors", "--epochs", 1)
    ended = dfal(*training, "--device", "cpu", "--json")
    assert ended.json["counts"]["twins"] == 1, ended.stderr
    assert "1 twin does not match the input size (1, 16, 16); training ignores it" in ended.stderr


def test_twins_that_labels_refer_to_are_not_overwritten(project):
    twin = scored("--twins", 1)["twin"].dropna().item()
    write(project / "labels.csv", "image,label,twin", f"039.png,ant,{twin}")
    ended = score("--twins", 1, "--labels", "labels.csv", "--force", out="s.parquet")
    assert_refused(ended, 2, "a labels file refers to this twin; choose another --twins-dir")

"""score --measure embedding: the embeddings of the labelled images, in a file beside the scores."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from dfal_cli.errors import DataError
from dfal_cli.tables import read_labelled_embeddings
from tests.conftest import write
from tests.steps.test_score_measures import expected, project, score

__all__ = ["project"]


def test_the_labelled_images_are_embedded_too_but_neither_blank_nor_skipped_ones(project):
    rows = (project / "labels.csv").read_text().splitlines()
    write(project / "labels.csv", *rows[:10], f"{rows[10].split(',')[0]},__skip__", f"{rows[11].split(',')[0]},",
          "elsewhere.png,dark")  # fmt: skip
    ended = score("--measure", "embedding", "--json")
    assert ended.json["outputs"] == ["scores.parquet", "scores.parquet.labelled.parquet"]
    images, embeddings = read_labelled_embeddings(project / "scores.parquet")
    assert images == sorted(row.split(",")[0] for row in rows[1:10])
    np.testing.assert_allclose(embeddings, expected(project, "embedding", images), rtol=1e-4, atol=1e-6)
    assert pq.read_schema("scores.parquet.labelled.parquet").names == ["image", "embedding"]
    assert score("--measure", "embedding", "--json").json["outputs"] == ended.json["outputs"]


def test_a_labelled_image_that_cannot_be_read_is_left_out_and_counted(project):
    image = (project / "labels.csv").read_text().splitlines()[3].split(",")[0]
    (project / "images" / image).write_bytes(b"not an image")
    ended = score("--measure", "embedding")
    assert ended.code == 0
    assert "1 labelled images cannot be read" in ended.stderr
    images, embeddings = read_labelled_embeddings(project / "scores.parquet")
    assert image not in images
    assert len(images) == len(embeddings) == 23


def test_scores_without_embeddings_have_none_of_labelled_images(project):
    assert score("--measure", "embedding").code == 0
    assert score("--force").code == 0
    assert not (project / "scores.parquet.labelled.parquet").exists()
    assert read_labelled_embeddings(project / "scores.parquet") is None


def test_a_labelled_image_that_has_changed_makes_other_scores(project):
    assert score("--measure", "embedding").code == 0
    (project / "images" / (project / "labels.csv").read_text().splitlines()[1].split(",")[0]).touch()
    assert score("--measure", "embedding").code == 2


@pytest.mark.parametrize("harm", ["missing", "damaged", "of other scores"])
def test_labelled_embeddings_that_do_not_belong_to_the_scores_are_refused_and_made_anew(project, harm):
    labelled = project / "scores.parquet.labelled.parquet"
    assert score("--measure", "embedding", "--seed", 1).code == 0
    others = labelled.read_bytes()
    assert score("--measure", "embedding", "--force").code == 0
    if harm == "missing":
        labelled.unlink()
    else:
        labelled.write_bytes(others if harm == "of other scores" else b"nonsense")
    with pytest.raises(DataError, match="not from the same run"):
        read_labelled_embeddings(project / "scores.parquet")
    assert score("--measure", "embedding", "--json").json["status"] == "done"
    assert len(read_labelled_embeddings(project / "scores.parquet")[0]) == 24

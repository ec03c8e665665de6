"""score --embeddings: exact margins in the space of the head, for which images, and what select makes of them."""

import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dfal_cli.margins.linear import linear_margins
from dfal_cli.measures.linear import LINEAR_MEASURES
from dfal_cli.models.head_file import load_head, save_head
from dfal_cli.tables.embeddings import write_embeddings
from dfal_cli.tables.vectors import unit_length
from tests.conftest import dfal, draw_folder, write
from tests.page import Page
from tests.steps.embedding import draw_photos, embedded
from tests.steps.scoring_embeddings import (
    BACKBONE,
    CLASSES,
    COUNT,
    DIMENSION,
    assert_refused,
    make_head,
    metadata,
    names,
    project,
    score,
    scored,
    vectors,
)

__all__ = ["project"]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_margins_are_the_closed_form_for_embeddings_of_unit_length(project, norm):
    table = scored("--norm", norm)
    head = load_head(Path("head.safetensors"))
    expected = linear_margins(unit_length(vectors()), head.weight, head.bias, norm)
    np.testing.assert_allclose(table["margin"], expected.margin, rtol=1e-6)
    assert list(table["image"]) == names()
    assert list(table["predicted"]) == [CLASSES[code] for code in expected.predicted]
    assert list(table["crossing_class"]) == [CLASSES[code] for code in expected.crossing_class]
    assert set(table["outcome"]) == {"crossed"}
    assert set(table["iterations"]) == {0}


def test_metadata_and_summary_name_the_space(project):
    ended = score("--json")
    assert ended.json["space"] == metadata()["space"] == "embedding"
    assert ended.json["counts"] == {
        "pool": 40, "labelled": 0, "excluded": 0, "scored": 40, "crossed": 40, "uncrossed": 0, "twins": 0,
    }  # fmt: skip
    said = "40 scored from a pool of 40: 40 crossed, 0 uncrossed; 0 twins; margins in embedding space"
    assert ended.stderr.splitlines()[-1].endswith(said)
    told = metadata()
    assert (told["embeddings"], told["image_root"], told["estimator"]) == ("e.parquet", None, "linear")
    assert told["checkpoint_sha256"] == load_head(Path("head.safetensors")).sha256


def test_paths_in_the_metadata_are_relative_to_the_scores(project):
    root = {**BACKBONE, "image_root": "images", "follow_links": True}
    Path("made").mkdir()
    write_embeddings(project / "made/e.parquet", [(names(), vectors())], root)
    assert score(embeddings="made/e.parquet", out="night/s.parquet").code == 0
    told = metadata("night/s.parquet")
    assert (told["embeddings"], told["image_root"]) == ("../made/e.parquet", "../made/images")
    assert told["follow_links"] is True


def test_labelled_and_excluded_images_and_those_not_drawn_are_left_out(project):
    write(project / "labels.csv", "image,label", "000.png,ant", "001.png,", "002.png,__skip__")
    write(project / "test.csv", "image", "003.png")
    table = scored("--labels", "labels.csv", "--exclude", "test.csv")
    assert list(table["image"]) == [name for name in names() if name not in {"000.png", "002.png", "003.png"}]
    drawn = scored("--labels", "labels.csv", "--exclude", "test.csv", "--candidates", 5, "--force")
    assert len(drawn) == 5
    pd.testing.assert_frame_equal(drawn, table[table["image"].isin(drawn["image"])].reset_index(drop=True))


def test_labelled_images_without_an_embedding_are_counted_with_a_warning(project):
    write(project / "labels.csv", "image,label", "000.png,ant", "new.png,bee", "100.png,bee")
    ended = score("--labels", "labels.csv")
    assert ended.code == 0
    assert "2 of 3 images in labels.csv are not in e.parquet; the first: new.png (line 3)" in ended.stderr


def test_zero_vectors_are_a_warning(project):
    write_embeddings(project / "e.parquet", [(names(), vectors() * (np.arange(COUNT) > 1)[:, None])], {})
    (warning,) = score("--json").json["warnings"]
    assert "e.parquet: 2 of 40 embeddings are zero vectors, the first that of '000.png'" in warning


def test_all_margins_are_known_whatever_nearest_says(project):
    everything = scored()
    nearest = scored("--nearest", 5, "--twins", 5, "--force")
    pd.testing.assert_series_equal(nearest["margin"], everything["margin"])
    assert nearest["twin"].notna().sum() == 5
    assert dfal("select", "--scores", "s.parquet", "--count", 10, "--out", "q.csv").code == 0


def test_further_measures_are_the_closed_forms(project):
    table = scored("--measure", "egl", "--measure", "probabilities")
    head, unit = load_head(Path("head.safetensors")), unit_length(vectors())
    logits = unit.astype(np.float64) @ head.weight.T + head.bias
    np.testing.assert_allclose(table["egl"], LINEAR_MEASURES["egl"](logits, unit), rtol=1e-6)
    np.testing.assert_allclose(np.stack(table["probabilities"]).max(1), table["confidence"], rtol=1e-6)


def test_a_head_that_has_not_learnt_is_warned_of_as_a_head(project):
    make_head("head.safetensors", metrics={"learnt": False})
    assert "the head was no better than guessing at the end of its training" in score().stderr


def test_a_head_with_its_backbone_is_scored_in_pixels_through_the_whole_network(in_tmp):
    draw_photos(in_tmp)
    images = embedded().images
    rows = [f"{image},{'ant' if number % 2 else 'bee'}" for number, image in enumerate(images[:6])]
    write(in_tmp / "labels.csv", "image,label", *rows)
    made_of = ("--labels", "labels.csv")
    training = ("train", "--embeddings", "e.parquet", *made_of, "--out", "m.safetensors")
    assert dfal(*training).code == 0
    between_embeddings = scored(*made_of, checkpoint="m.safetensors")
    pixels = ("score", "--images", "photos", "--checkpoint", "m.safetensors", *made_of, "--trust-code")
    ended = dfal(*pixels, "--out", "p.parquet", "--device", "cpu", "--twins", 1)
    assert ended.code == 0, ended.stderr
    in_pixels = pq.read_table("p.parquet").to_pandas()
    columns = ["image", "predicted", "confidence", "crossing_class"]
    pd.testing.assert_frame_equal(in_pixels[columns], between_embeddings[columns], rtol=1e-4)
    assert (in_pixels["iterations"] > 0).all()
    assert metadata("p.parquet")["space"] == "pixel"
    assert np.load(in_pixels["twin"].dropna().item()).shape == (3, 32, 32)


def test_embeddings_in_any_order_and_as_a_matrix_give_the_same_rows(project):
    table = scored()
    order = np.random.default_rng(0).permutation(COUNT)
    np.save("m.npy", vectors()[order].astype(np.float64))
    write(project / "m.csv", "image", *(names()[place] for place in order))
    pd.testing.assert_frame_equal(scored("--force", embeddings="m.npy"), table)


def test_equal_inputs_give_equal_bytes(project):
    assert score("--twins", 3, out="s.csv").code == 0
    before = Path("s.csv").read_bytes()
    assert score("--twins", 3, "--force", out="s.csv").code == 0
    assert Path("s.csv").read_bytes() == before


def test_a_second_run_is_up_to_date_until_an_input_changes(project):
    assert score("--labels", write(project / "labels.csv", "image,label", "000.png,ant")).code == 0
    again = ("--labels", "labels.csv")
    assert score(*again, "--json").json["status"] == "up to date"
    assert score(*again, "--nearest", 3, "--json").json["status"] == "up to date", "all margins are known"
    assert_refused(score(*again, "--norm", "linf"), 2, "was made with --norm l2, not linf")
    write(project / "labels.csv", "image,label", "000.png,ant", "001.png,ant")
    assert_refused(score(*again), 2, "was made from another list of images")
    write(project / "labels.csv", "image,label", "000.png,ant")
    write_embeddings(project / "e.parquet", [(names(), vectors(seed=5))], {})
    assert_refused(score(*again), 2, "was made from other embeddings")
    assert score(*again, "--force").code == 0
    make_head("head.safetensors", seed=2)
    assert_refused(score(*again), 2, "was made from another checkpoint")


def test_scores_of_the_two_spaces_are_not_taken_for_each_other(project, trained):
    pixels = ("score", "--images", trained / "images", "--checkpoint", trained / "model.safetensors")
    pixels = (*pixels, "--out", "s.parquet", "--device", "cpu", "--nearest", 0)
    assert dfal(*pixels, "--measure", "embedding", "--labels", trained / "labels.csv").code == 0
    assert_refused(score(), 2, "in pixel space")
    assert score("--force").code == 0
    assert not Path("s.parquet.labelled.parquet").exists(), "it belonged to the scores before"
    assert_refused(dfal(*pixels), 2, "in embedding space")


def test_a_head_without_a_boundary_leaves_all_images_uncrossed_with_a_warning(project):
    flat = np.ones((2, DIMENSION)), np.zeros(2)
    save_head(Path("head.safetensors"), *flat, classes=("a", "b"), embeddings={}, backbone=None, extra_metadata={})
    ended = score("--twins", 3, "--json")
    assert ended.json["counts"] | {"crossed": 0, "uncrossed": 40, "twins": 0} == ended.json["counts"]
    assert ended.json["uncrossed_because"] == {"no gradient": 40}
    assert "40 of 40 images have no margin (40 no gradient)" in ended.stderr


def test_a_page_shows_the_images_and_the_space_of_their_margins_and_no_twins(in_tmp):
    draw_folder(in_tmp)
    write_embeddings(in_tmp / "e.parquet", [(names(), vectors())], {**BACKBONE, "image_root": "images"})
    make_head(in_tmp / "head.safetensors")
    assert score("--twins", 4).code == 0
    select = ("select", "--scores", "s.parquet", "--strategy", "dfal", "--count", 4)
    assert dfal(*select, "--out", "q.csv", "--preview", "p.html").code == 0
    page = Page(in_tmp / "p.html")
    assert len(page.pictures()) == 4
    assert (
        "the distance of the image's embedding to the nearest other class, for embeddings of unit length (l2 norm)"
        in page.text
    )


def test_without_an_image_root_select_warns_and_asks_for_it_where_it_is_needed(project):
    assert score().code == 0
    ended = dfal("select", "--scores", "s.parquet", "--count", 4, "--out", "q.csv")
    assert ended.code == 0
    assert "s.parquet: does not say where its images are" in ended.stderr
    ended = dfal("select", "--scores", "s.parquet", "--count", 4, "--out", "p.csv", "--preview", "p.html")
    assert_refused(ended, 2, "set the image root with --images")
    assert not Path("p.csv").exists()


def test_nothing_of_torch_is_imported(project):
    program = "import sys; from dfal_cli.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    done = run(
        [sys.executable, "-c", program, "score", "--embeddings", "e.parquet", "--checkpoint", "head.safetensors",
         "--out", "s.parquet", "--twins", "3", "--measure", "egl"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["s.parquet", "False"]

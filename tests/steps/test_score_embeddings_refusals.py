"""score --embeddings: options, embeddings, labels and checkpoints that it refuses, each with the reason."""

import pytest

from dfal_cli.steps.option import options_of
from dfal_cli.steps.score.checks import ONLY_OF_IMAGES
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.tables.embeddings import write_embeddings
from tests.conftest import dfal, write
from tests.steps.scoring_embeddings import (
    BACKBONE,
    DIMENSION,
    assert_refused,
    make_head,
    names,
    project,
    score,
    vectors,
)

__all__ = ["project"]


def test_labels_of_other_images_are_refused(project):
    write(project / "labels.csv", "image,label", "photos/000.png,ant")
    said = "they match if 'photos/' is removed from the names in labels.csv"
    assert_refused(score("--labels", "labels.csv"), 3, "photos/000.png, but 000.png exists", said)
    write_embeddings(project / "e.parquet", [([f"photos/{name}" for name in names()], vectors())], {})
    write(project / "labels.csv", "image,label", "000.png,ant", "001.png,bee")
    said = "they match if 'photos/' is removed from the names in e.parquet"
    assert_refused(score("--labels", "labels.csv"), 3, "000.png, but photos/000.png exists", said)


def test_an_empty_pool_is_refused_with_its_counts(project):
    write(project / "labels.csv", "image,label", *(f"{name},ant" for name in names()))
    assert_refused(score("--labels", "labels.csv"), 3, "e.parquet: the pool is empty: all 40 images are labelled")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bald", "a head has no dropout layers"), ("embedding", "the embeddings file has it already"),
        ("margin", "every scores file contains it already"), ("gini", "use any of egl, probabilities"),
    ],
)  # fmt: skip
def test_measures_that_do_not_apply_are_refused_with_the_reason(project, name, said):
    assert_refused(score("--measure", name), 2, f"--measure {name}", said)


OTHER_VALUES = {
    "max_unreadable": 0.5, "cache": "cache", "cache_limit": "1GB", "arch": "lenet5", "trust_code": None,
    "estimator": "refined", "classes": 3, "max_iterations": 10, "clip": None, "passes": 5, "device": "cpu",
    "workers": 1, "batch_size": 8,
}  # fmt: skip


def test_every_option_without_meaning_for_embeddings_has_a_value_here():
    assert OTHER_VALUES.keys() == ONLY_OF_IMAGES
    assert {each.name for each in options_of(ScoreOptions)} > ONLY_OF_IMAGES


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_options_without_meaning_for_embeddings_are_refused(project, name):
    option, value = f"--{name.replace('_', '-')}", OTHER_VALUES[name]
    ended = score(option, *([] if value is None else [value]))
    assert_refused(ended, 2, f"{option}: no effect with --embeddings; remove it")


def test_more_twins_than_nearest_margins_and_a_preset_of_pixels_are_refused(project):
    assert_refused(score("--nearest", 3, "--twins", 5), 2, "--twins 5: there are twins only of the --nearest 3 margins")
    assert_refused(score("--preset", "paper"), 2, "--preset paper: no effect with --embeddings; remove it")


@pytest.mark.parametrize("given", [[], ["--embeddings", "e.parquet", "--images", "."]], ids=["neither", "both"])
def test_either_images_or_embeddings_must_be_given(project, given):
    ended = dfal("score", "--checkpoint", "head.safetensors", "--out", "s.parquet", *given)
    assert_refused(ended, 2, "use either --images (margins in pixels) or --embeddings")


def test_embeddings_of_another_length_are_refused(project):
    make_head("other.safetensors", dimension=DIMENSION + 1)
    said = "e.parquet: its embeddings have 8 numbers, but other.safetensors was trained on embeddings of 9"
    assert_refused(score(checkpoint="other.safetensors"), 3, said)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("backbone", "resnet18", "made with --backbone resnet18, but head.safetensors was trained on"),
        ("weights_sha256", "1" * 64, "made with weights 1111"),
        ("input_shape", [3, 32, 32], "made with --image-size 32"),
    ],
)
def test_embeddings_of_another_backbone_are_refused(project, name, value, said):
    make_head("head.safetensors", embeddings=BACKBONE)
    write_embeddings(project / "e.parquet", [(names(), vectors())], BACKBONE)
    assert score().code == 0
    write_embeddings(project / "e.parquet", [(names(), vectors())], {**BACKBONE, name: value})
    assert_refused(score("--force"), 3, said)


def test_embeddings_that_were_resized_in_another_way_are_refused_with_the_option(project):
    crop = {"how": "crop", "shorter_side": 256, "interpolation": "bicubic"}
    pad = {"how": "pad", "shorter_side": None, "interpolation": "bicubic"}
    make_head("head.safetensors", embeddings={**BACKBONE, "resize": crop})
    write_embeddings(project / "e.parquet", [(names(), vectors())], {**BACKBONE, "resize": pad})
    said = (
        "e.parquet: was made with --resize pad (bicubic), but head.safetensors was trained on embeddings made with "
        "--resize crop (bicubic, shorter side 256)"
    )
    assert_refused(score(), 3, said)


def test_a_network_for_images_is_refused_for_embeddings_and_a_head_alone_for_images(project, trained):
    network = trained / "model.safetensors"
    assert_refused(score(checkpoint=network), 2, "classifies images, not embeddings; use it with --images")
    images = ("--images", trained / "images", "--checkpoint", "head.safetensors", "--out", "s.parquet")
    assert_refused(dfal("score", *images), 2, "head.safetensors: classifies embeddings, not images")

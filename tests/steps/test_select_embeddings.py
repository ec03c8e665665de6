"""select with embeddings: later lists, by scores of embeddings or of images."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli.models.head_file import save_head
from dfal_cli.strategies import STRATEGIES
from dfal_cli.tables.embeddings import write_embeddings
from tests.conftest import Ended, dfal, draw_folder, write, write_margins

CLUSTERS = ["right", "left", "up"]
"""Of images 000 to 009, 010 to 015 and 016 to 019."""
DIRECTIONS = np.array([[1, 0, 0.01], [-1, 0, 0.01], [0, 1, 0.01]], np.float32)
SIZES = [10, 6, 4]
IMAGES = [f"{number:03d}.png" for number in range(20)]


def embeddings() -> np.ndarray:
    around = np.repeat(DIRECTIONS, SIZES, axis=0)
    return 5 * (around + 0.03 * np.random.default_rng(0).standard_normal(around.shape).astype(np.float32))


@pytest.fixture
def project(in_tmp: Path) -> Path:
    """A folder with e.parquet, which another program made, where the test runs."""
    write_embeddings(in_tmp / "e.parquet", [(IMAGES, embeddings())], {})
    return in_tmp


def first(*arguments: object, embeddings: object = "e.parquet") -> Ended:
    return dfal("select", "--embeddings", embeddings, "--out", "q.csv", *arguments)


def later(*arguments: object) -> Ended:
    return dfal("select", "--scores", "s.parquet", "--out", "q.csv", *arguments)


def picked() -> list[str]:
    return pd.read_csv("q.csv", dtype=str)["image"].tolist()


def clusters(images: list[str]) -> list[str]:
    return [CLUSTERS[int(np.searchsorted(np.cumsum(SIZES), int(image[:3]), side="right"))] for image in images]


def score(*arguments: object) -> None:
    """Make s.parquet, by a head whose boundary between two of its classes runs between right and left."""
    save_head(
        Path("head.safetensors"), np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0]]), np.zeros(3),
        classes=("right", "left", "up"), embeddings={}, backbone=None, extra_metadata={},
    )  # fmt: skip
    command = ("score", "--embeddings", "e.parquet", "--checkpoint", "head.safetensors", "--out", "s.parquet")
    assert dfal(*command, *arguments).code == 0


@pytest.mark.parametrize("strategy", ["coverage", "core-set", "typical", "dfal-diverse"])
def test_later_lists_find_the_embeddings_by_the_scores(project: Path, strategy: str) -> None:
    score()
    write(project / "labels.csv", "image,label", "000.png,right", "010.png,left")
    ended = later("--count", 2, "--strategy", strategy, "--labels", "labels.csv", "--json")
    assert ended.code == 0, ended.stderr
    if STRATEGIES[strategy].labelled:
        assert "up" in clusters(picked())
    assert [text for text in ended.json["warnings"] if "where its images" not in text] == []


def test_later_lists_are_by_coverage_unless_a_strategy_is_named(project: Path) -> None:
    score()
    assert later("--count", 2, "--json").json["strategy"] == "coverage"
    assert later("--count", 2, "--strategy", "dfal", "--force", "--json").json["strategy"] == "dfal"


def test_badge_needs_the_probabilities_only(project: Path) -> None:
    score()
    ended = later("--count", 2, "--strategy", "badge")
    assert "s.parquet has no probabilities; score with --measure probabilities\n" in ended.stderr
    score("--measure", "probabilities", "--force")
    assert later("--count", 2, "--strategy", "badge").code == 0


def test_the_chain_can_move_to_another_folder(project: Path) -> None:
    score()
    moved = project / "moved"
    moved.mkdir()
    for name in ("e.parquet", "s.parquet"):
        Path(name).rename(moved / name)
    command = ("select", "--scores", moved / "s.parquet", "--out", "q.csv", "--count", 2)
    assert dfal(*command, "--strategy", "core-set").code == 0


def test_without_the_embeddings_only_strategies_that_need_them_are_refused(project: Path) -> None:
    score()
    Path("e.parquet").rename("elsewhere.parquet")
    ended = later("--count", 2, "--strategy", "coverage")
    assert ended.code == 2
    assert "e.parquet, from which s.parquet was made, does not exist; name the embeddings with" in ended.stderr
    assert later("--count", 2, "--strategy", "coverage", "--embeddings", "elsewhere.parquet").code == 0
    Path("q.csv").unlink()
    assert later("--count", 2, "--strategy", "entropy").code == 0


def test_embeddings_that_changed_since_are_a_warning(project: Path) -> None:
    score()
    write_embeddings(project / "e.parquet", [(IMAGES, 2 * embeddings())], {})
    ended = later("--count", 2, "--strategy", "typical", "--labels", write_labels(), "--json")
    assert any("e.parquet: has changed since s.parquet was made" in warning for warning in ended.json["warnings"])


def test_keeping_away_from_labels_that_are_not_named_is_a_warning(project: Path) -> None:
    score()
    warnings = later("--count", 2, "--strategy", "coverage", "--json").json["warnings"]
    assert any(
        "coverage avoids images similar to labelled ones; name the labels files with --labels" in text
        for text in warnings
    )


def test_the_smallest_margins_of_identical_images_are_asked_about_once(project: Path) -> None:
    vectors = embeddings()
    vectors[4:8] = [0.01, 0, 5]  # close to the boundary of right and left
    write_embeddings(project / "e.parquet", [(IMAGES, vectors)], {})
    score()
    later("--count", 2, "--strategy", "dfal")
    assert picked()[0] == "004.png"
    assert picked()[1] not in ("005.png", "006.png", "007.png")


def test_embeddings_serve_scores_of_images_too(project: Path) -> None:
    draw_folder(project, each=10)
    write_margins(project / "s.parquet", project / "images", dict.fromkeys(IMAGES, 0.5))
    assert "has no embedding; score with --measure embedding" in later("--count", 2, "--strategy", "core-set").stderr
    labels = ("--labels", write_labels())
    ended = later("--count", 2, "--strategy", "core-set", "--embeddings", "e.parquet", *labels)
    assert ended.code == 0, ended.stderr
    assert json.loads(Path("q.csv.meta.json").read_text())["parts"]["embeddings"]
    assert clusters(picked())[0] == "up"


def test_images_without_an_embedding_are_listed_last(project: Path) -> None:
    score()
    write_embeddings(project / "some.parquet", [(IMAGES[2:], embeddings()[2:])], {})
    ended = later("--count", 20, "--strategy", "coverage", "--embeddings", "some.parquet", "--json")
    assert picked()[-2:] == ["000.png", "001.png"]
    assert any("has no embedding of 2 of 20 images" in warning for warning in ended.json["warnings"])
    write_embeddings(project / "none.parquet", [(["x.png"], embeddings()[:1])], {})
    ended = later("--count", 20, "--strategy", "coverage", "--embeddings", "none.parquet", "--force")
    assert (ended.code, "none.parquet: has none of the images" in ended.stderr) == (3, True)


def test_names_with_a_folder_too_many_are_told_apart_from_missing_images(project: Path) -> None:
    draw_folder(project, each=10)
    score()
    write_embeddings(project / "other.parquet", [([f"images\\{name}" for name in IMAGES], embeddings())], {})
    said = r"they match if 'images\' is removed from the names in other.parquet"
    for ended in (
        later("--count", 2, "--strategy", "coverage", "--embeddings", "other.parquet"),
        first("--count", 2, "--images", "images", embeddings="other.parquet"),
    ):
        assert (ended.code, said in ended.stderr) == (3, True), ended.stderr


def write_labels() -> str:
    write(Path("labels.csv"), "image,label", "000.png,right", "010.png,left")
    return "labels.csv"

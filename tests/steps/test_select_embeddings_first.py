"""select --embeddings: the first list, before anything is trained."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli.strategies import STRATEGIES
from dfal_cli.tables.embeddings import write_embeddings
from tests.conftest import dfal, draw_folder, write
from tests.page import Page
from tests.steps.test_select_embeddings import IMAGES, clusters, embeddings, first, picked, project

__all__ = ["project"]


def test_the_first_list_names_one_image_of_each_cluster(project: Path) -> None:
    ended = first("--count", 3, "--json")
    assert ended.code == 0, ended.stderr
    assert clusters(picked()) == ["right", "left", "up"]
    assert ended.json["strategy"] == "typical"
    assert ended.json["counts"] == {
        "pool": 20, "labelled": 0, "excluded": 0, "queries": 3, "without_twin": 3, "gone": 0,
    }  # fmt: skip
    assert list(pd.read_csv("q.csv")) == ["rank", "image", "label", "margin", "twin"]


@pytest.mark.parametrize("strategy", [name for name, entry in STRATEGIES.items() if not entry.needs_network])
def test_strategies_that_need_no_network_choose_a_first_list(project: Path, strategy: str) -> None:
    assert first("--count", 20, "--strategy", strategy).code == 0
    assert sorted(picked()) == IMAGES


@pytest.mark.parametrize("strategy", ["dfal", "badge", "entropy"])
def test_a_strategy_that_needs_a_network_is_refused_with_those_that_do_not(project: Path, strategy: str) -> None:
    ended = first("--count", 3, "--strategy", strategy)
    assert ended.code == 2
    assert "requires --scores; otherwise use one of coverage, typical, core-set, random\n" in ended.stderr
    assert not Path("q.csv").exists()


def test_a_strategy_on_embeddings_is_refused_on_a_mere_folder(project: Path) -> None:
    draw_folder(project, each=2)
    ended = dfal("select", "--images", "images", "--strategy", "typical", "--count", "3", "--out", "q.csv")
    assert (
        ended.code,
        "--strategy typical: requires --embeddings or --scores; otherwise use --strategy random\n" in ended.stderr,
    ) == (2, True)


def test_predictions_are_refused_without_scores(project: Path) -> None:
    assert "--with-predictions: requires --scores" in first("--count", 3, "--with-predictions").stderr


def test_clusters_with_a_label_or_a_list_still_being_answered_are_not_asked_about(project: Path) -> None:
    write(project / "labels.csv", "image,label", "003.png,right")
    write(project / "asked.csv", "rank,image,label", "1,017.png,up", "2,018.png,")
    ended = first("--count", 1, "--labels", "labels.csv", "--exclude", "asked.csv", "--json")
    assert clusters(picked()) == ["left"]
    assert (ended.json["counts"]["labelled"], ended.json["counts"]["excluded"]) == (1, 2)


def test_a_test_set_is_left_out_but_the_images_like_it_are_asked_about(project: Path) -> None:
    write(project / "test.csv", "image,label", "000.png,right", "010.png,left", "016.png,up")
    first("--count", 3, "--exclude", "test.csv")
    assert clusters(picked()) == ["right", "left", "up"]
    assert not set(picked()) & {"000.png", "010.png", "016.png"}


def test_one_of_several_identical_images_is_asked_about_even_at_random(project: Path) -> None:
    same = np.repeat(embeddings()[[0, 12]], 10, axis=0)
    write_embeddings(project / "same.parquet", [(IMAGES, same)], {})
    for seed in range(5):
        first("--count", 3, "--strategy", "random", "--seed", seed, "--force", embeddings="same.parquet")
        assert set(picked()[:2]) == {"000.png", "010.png"}
        assert picked()[2] == "001.png"


def test_deleted_images_are_left_out_if_the_image_root_is_known(project: Path) -> None:
    draw_folder(project, each=10)
    Path("images/011.png").unlink()
    ended = first("--count", 20, "--images", "images", "--json")
    assert "011.png" not in picked()
    assert (ended.json["counts"]["queries"], ended.json["counts"]["gone"]) == (19, 1)
    assert not any("deleted" in warning for warning in ended.json["warnings"])


def test_an_unknown_image_root_is_a_warning_and_no_preview_can_be_made(project: Path) -> None:
    ended = first("--count", 3, "--json")
    assert any("e.parquet: does not say where its images are" in warning for warning in ended.json["warnings"])
    refused = first("--count", 3, "--preview", "p.html")
    assert (refused.code, "set the image root with --images" in refused.stderr) == (2, True)
    assert not Path("p.html").exists()


def test_the_image_root_is_that_of_dfal_embed_relative_to_the_embeddings(project: Path) -> None:
    draw_folder(project / "data", each=10)
    made = {"backbone": "lite0", "image_root": "data/images", "follow_links": False}
    write_embeddings(project / "made.parquet", [(IMAGES, embeddings())], made)
    ended = first("--count", 3, "--preview", "p.html", "--json", embeddings="made.parquet")
    assert ended.json["warnings"] == []
    assert Page(Path("p.html")).text.count("Each image represents the images similar to it") == 1


def test_the_same_list_is_up_to_date_and_one_from_other_embeddings_is_not_overwritten(project: Path) -> None:
    first("--count", 3)
    assert first("--count", 3, "--json").json["status"] == "up to date"
    write_embeddings(project / "e.parquet", [(IMAGES, -embeddings()[::-1])], {})
    ended = first("--count", 3)
    assert (ended.code, "exists, and was made from other --embeddings" in ended.stderr) == (2, True)

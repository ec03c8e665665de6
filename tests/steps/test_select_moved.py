"""select after its images, or the whole project, have been moved or deleted since they were scored."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended, dfal, draw_folder, write, write_margins
from tests.page import Page
from tests.steps.test_select import MARGINS, house, rows, select

__all__ = ["house"]

PREVIEW = ("--preview", "p.html")


def pictures(page: str = "p.html") -> int:
    return len(Page(Path(page)).pictures())


def test_deleted_images_are_not_selected_but_counted(house: Path) -> None:
    for image in ("002.png", "003.png", "005.png"):
        (house / "images" / image).unlink()
    ended = select("--count", 2, "--json")
    assert rows()["image"].tolist() == ["004.png", "000.png"]
    assert ended.json["counts"] == {
        "pool": 4, "labelled": 0, "excluded": 0, "queries": 2, "without_twin": 2, "gone": 2,
    }  # fmt: skip
    assert "2 left out, deleted since they were scored" in ended.stderr


@pytest.mark.parametrize("strategy", ["random", "entropy"])
def test_every_strategy_picks_again_until_all_images_exist(house: Path, strategy: str) -> None:
    for image in list(MARGINS)[:4]:
        (house / "images" / image).unlink()
    ended = select("--count", 5, "--strategy", strategy, "--json")
    assert sorted(rows()["image"]) == ["004.png", "005.png"]
    assert ended.json["counts"]["gone"] == 4
    assert "--count 5: the pool has only 2 images" in ended.json["warnings"][0]


def test_deleted_images_get_no_pseudo_labels(house: Path) -> None:
    write_margins(house / "s.parquet", house / "images", MARGINS, entropy=[0.5, 0.001, 0.001, 0.4, 0.3, 0.2])
    (house / "images" / "001.png").unlink()
    dfal("select", "--scores", "s.parquet", "--strategy", "ceal", "--count", 2, "--out", "q.csv")
    assert Path("q.csv.pseudo.csv").read_text() == "image,pseudo_label\n002.png,dark\n"


def test_if_all_images_are_missing_the_message_asks_for_the_image_root(house: Path) -> None:
    Path("elsewhere").mkdir()
    ended = select("--count", 2, "--images", "elsewhere")
    assert (ended.code, "none of the images exist any more; set the image root" in ended.stderr) == (3, True)
    assert not Path("q.csv").exists()


def test_without_the_image_root_images_are_not_checked_and_a_warning_says_so(house: Path) -> None:
    shutil.move("images", "photos")
    ended = select("--count", 3, "--json")
    assert (ended.code, ended.json["counts"]["gone"]) == (0, 0)
    assert "images: no such folder" in ended.json["warnings"][0]
    assert "set the image root of scores.parquet with --images" in ended.json["warnings"][0]


@pytest.mark.parametrize("option", ["--labels", "--exclude"])
def test_names_that_match_nothing_scored_or_there_are_counted_and_refused_if_that_is_all(
    house: Path, option: str
) -> None:
    write(house / "t.csv", "image,label", "002.png,dark", "007.png,dark", "images/003.png,dark")  # 007 is not scored
    ended = select("--count", 2, option, "t.csv", "--json")
    assert rows()["image"].tolist() == ["004.png", "003.png"]
    assert ended.json["counts"][{"--labels": "labelled", "--exclude": "excluded"}[option]] == 2
    (warning,) = ended.json["warnings"]
    assert "1 of 3 images in t.csv is not under" in warning
    assert "the first: images/003.png, but 003.png exists (line 4)" in warning
    write(house / "t.csv", "image,label", "images/003.png,dark")
    assert select("--count", 2, option, "t.csv", out="r.csv").code == 3
    shutil.move("images", "photos")
    assert select("--count", 2, option, "t.csv", out="r.csv").code == 0, "nobody can tell"


def test_another_image_root_stands_in_for_the_one_of_the_scores(house: Path) -> None:
    shutil.move("images", "photos")
    ended = select("--count", 3, *PREVIEW, "--images", "photos", "--json")
    assert (ended.code, ended.json["warnings"], pictures()) == (0, [], 3)
    assert "nowhere: no such folder (--images)" in select("--count", 3, "--images", "nowhere", out="r.csv").stderr


def test_a_good_preview_is_not_replaced_by_one_without_pictures(house: Path) -> None:
    select("--count", 3, *PREVIEW)
    before = Path("p.html").read_bytes()
    shutil.move("images", "photos")
    ended = select("--count", 3, *PREVIEW, "--json")
    assert (ended.code, ended.json["status"]) == (0, "up to date")
    assert any("p.html: 3 of 3 images cannot be read" in warning for warning in ended.json["warnings"])
    assert any("so the existing page is kept" in warning for warning in ended.json["warnings"])
    assert Path("p.html").read_bytes() == before


def test_the_preview_of_another_list_is_replaced_with_or_without_pictures(house: Path) -> None:
    select("--count", 3, *PREVIEW)
    shutil.move("images", "photos")
    assert select("--count", 4, *PREVIEW, "--force").code == 0
    assert (pictures(), "q.csv: 4 queries" in Page(Path("p.html")).text) == (0, True)


def test_a_preview_is_made_again_with_the_pictures_that_it_lacked(house: Path) -> None:
    shutil.move("images", "photos")
    select("--count", 3, *PREVIEW)
    assert pictures() == 0
    select("--count", 3, *PREVIEW, "--images", "photos")
    assert pictures() == 3


def score(folder: Path, out: str) -> Ended:
    return dfal(
        "score", "--images", folder / "images", "--labels", folder / "labels.csv", "--checkpoint",
        folder / "model.safetensors", "--out", folder / out, "--nearest", 4, "--twins", 4, "--device", "cpu", "--json",
    )  # fmt: skip


@pytest.mark.parametrize("out", ["scores.parquet", "rounds/001/scores.csv"])
@pytest.mark.parametrize("move", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_a_project_can_be_moved(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, move: Callable[..., object], out: str
) -> None:
    here, there = tmp_path / "here", tmp_path / "deep/down/there"
    shutil.copytree(trained, here)
    assert score(here, out).code == 0
    there.parent.mkdir(parents=True)
    move(here, there)
    shutil.rmtree(here, ignore_errors=True)
    monkeypatch.chdir(tmp_path)
    if move is shutil.move:
        assert score(there, out).json["status"] == "up to date"
    ended = dfal("select", "--scores", there / out, "--count", 4, "--out", there / "q.csv", *PREVIEW, "--json")
    assert (ended.code, ended.json["warnings"]) == (0, [])
    assert ended.json["counts"]["without_twin"] == 0
    assert pictures() == 3 * 4, "each image with its twin and the difference"


def test_scores_with_an_absolute_image_root_go_on_working(in_tmp: Path) -> None:
    draw_folder(in_tmp, each=4)
    write_margins(in_tmp / "rounds/s.parquet", in_tmp / "images", MARGINS)  # which writes it so
    ended = dfal("select", "--scores", "rounds/s.parquet", "--count", 3, "--out", "q.csv", *PREVIEW, "--json")
    assert (ended.json["warnings"], pictures()) == ([], 3)

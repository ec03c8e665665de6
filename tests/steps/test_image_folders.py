"""What lies in an image folder besides plain images: hidden files, other formats, links out of it, a simulation."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Ended, dfal, draw_divided_folder, write
from tests.page import Page

SIMULATED = ("--initial", 4, "--count", 4, "--budget", 8, "--epochs", 1, "--strategies", "random", "--jobs", 1)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: images/, pool.csv (16 of them), test.csv (the other 8)."""
    monkeypatch.chdir(draw_divided_folder(tmp_path / "house"))
    return tmp_path / "house"


def score(trained: Path, *further: object) -> Ended:
    return dfal("score", "--images", "images", "--checkpoint", trained / "model.safetensors", "--nearest", 0, "--out",
                "s.csv", "--device", "cpu", *further)  # fmt: skip


def select(*further: object) -> Ended:
    return dfal("select", "--images", "images", "--strategy", "random", "--count", 3, "--out", "q.csv", *further)


def simulate(*further: object) -> Ended:
    files = ("--images", "images", "--labels", "pool.csv", "--test", "test.csv")
    return dfal("simulate", *files, *SIMULATED, "--device", "cpu", *further)


def train(*further: object) -> Ended:
    return dfal("train", "--images", "images", "--labels", "pool.csv", "--out", "m.safetensors", "--epochs", 1,
                "--device", "cpu", *further)  # fmt: skip


def test_hidden_and_other_files_are_said_once_and_counted(house: Path, trained: Path) -> None:
    for name in ("._000.png", ".trash/000.png", "__MACOSX/000.png", "a.psd", "b.psd", "IMG_0001"):
        (house / "images" / name).parent.mkdir(exist_ok=True)
        (house / "images" / name).write_bytes(b"no image")
    for ended in (score(trained, "--json"), simulate("--out", "sim", "--json")):
        assert ended.code == 0, ended.stderr
        assert ended.stderr.count("3 hidden files and folders are skipped\n") == 1
        assert ended.json["warnings"] == ["3 other files are not read: 2 .psd, 1 without a suffix"]
        assert (ended.json["counts"]["hidden"], ended.json["counts"]["other_files"]) == (3, 3)
    ended = select("--json")
    assert ended.stderr.count("3 hidden files and folders are skipped\n") == 1
    assert ended.stderr.count("warning: 3 other files are not read: 2 .psd, 1 without a suffix\n") == 1
    assert (ended.json["counts"]["hidden"], ended.json["counts"]["other_files"]) == (3, 3)


def test_a_folder_of_hidden_images_only_is_said_to_have_some(in_tmp: Path) -> None:
    (in_tmp / "images").mkdir()
    for told in ("1 hidden file or folder is skipped", "2 hidden files and folders are skipped"):
        (in_tmp / "images" / f".{told[0]}.png").write_bytes(b"")
        ended = dfal("select", "--images", "images", "--count", 1, "--out", "q.csv", "--strategy", "random")
        assert (ended.code, told in ended.stderr) == (3, True), ended.stderr
        assert ": no images (PNG" in ended.stderr


def test_an_image_that_a_table_names_is_read_although_it_is_hidden_or_of_another_suffix(house: Path) -> None:
    (house / "images" / ".kept").mkdir()
    for before, after in (("000.png", ".kept/000.png"), ("001.png", "001"), ("016.png", ".kept/016.png")):
        shutil.move(house / "images" / before, house / "images" / after)
        for table in ("pool.csv", "test.csv"):
            (house / table).write_text((house / table).read_text().replace(before, after))
    assert train("--test", "test.csv").code == 0
    ended = simulate("--out", "sim")
    assert ended.code == 0, ended.stderr
    write(house / "pool.csv", *(house / "pool.csv").read_text().splitlines(), ".kept/none.png,dark")
    ended = simulate("--out", "sim2")
    assert ended.code == 0, ended.stderr
    assert "1 of 17 images in pool.csv is not under images; the first: .kept/none.png (line 18)" in ended.stderr


def test_links_out_of_the_root_are_followed_only_with_follow_links(house: Path, trained: Path) -> None:
    store = house / "store"
    (house / "images").rename(store)
    (house / "images").mkdir()
    for number, path in enumerate(sorted(store.iterdir())):
        path.rename(store / str(number))  # as a store that names files by their contents
        (house / "images" / path.name).symlink_to(f"../store/{number}")
    for command in (lambda *more: score(trained, "--cache", "cache", *more), train):
        refused = command()
        assert refused.code == 3
        assert "--follow-links" in refused.stderr
        ended = command("--follow-links")
        assert ended.code == 0, ended.stderr
        again = command("--force")
        assert (again.code, "--follow-links" in again.stderr) == (3, True)
    refused = simulate("--out", "sim")
    assert refused.code == 3
    assert pd.read_csv("sim/unreadable.csv")["reason"].str.contains("--follow-links").all()
    ended = simulate("--out", "sim", "--follow-links")
    assert ended.code == 0, ended.stderr
    assert len(pd.read_csv("s.csv")) == 24
    refused = select("--preview", "p.html")
    assert (refused.code, "--follow-links" in refused.stderr) == (3, True)
    assert select("--preview", "p.html", "--follow-links").code == 0
    assert len(Page(house / "p.html").pictures()) == 3
    ended = dfal(
        "select", "--scores", "s.csv", "--strategy", "entropy", "--count", 2, "--out", "q2.csv", "--preview", "p2.html"
    )
    assert ended.code == 0, ended.stderr
    assert len(Page(house / "p2.html").pictures()) == 2, "the scores say that links were followed"
    assert '"follow_links":true' in Path("s.csv.meta.json").read_text().replace(" ", "")


def test_what_was_cached_by_following_links_is_not_read_without(house: Path) -> None:
    shutil.move(house / "images" / "000.png", house / "outside.png")
    (house / "images" / "000.png").symlink_to("../outside.png")
    unseen = ("--cache", "cache", "--gray", "--image-size", 16, "--white", 1)  # no header is looked at
    assert train(*unseen, "--follow-links").code == 0
    ended = train(*unseen, "--force")
    assert (ended.code, "'000.png': a link that leaves the image root" in ended.stderr) == (3, True), ended.stderr


@pytest.mark.parametrize("out", ["images", "images/sim", "link/sim"])
def test_a_simulation_whose_curves_would_join_the_pool_is_refused(house: Path, out: str) -> None:
    (house / "link").symlink_to("images")
    before = sorted((house / "images").iterdir())
    ended = simulate("--out", out)
    assert ended.code == 2
    assert "--out" in ended.stderr
    assert sorted((house / "images").iterdir()) == before

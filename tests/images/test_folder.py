"""Which files under the image root are images."""

import os
from pathlib import Path

import pytest

from dfal_cli.images import list_images
from tests.conftest import dfal


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_images_are_known_by_their_suffix_in_any_case(tmp_path: Path) -> None:
    images = ["a.png", "b.PNG", "c.Jpg", "d.jpeg", "e.gif", "f.bmp", "g.tif", "h.TIFF", "i.webp"]
    touch(tmp_path, *images, "x.txt", "png", "x.png.txt", "x.npy", "y.pngx")
    assert list_images(tmp_path) == images


def test_folders_are_entered_and_the_paths_are_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b/c/2.png", "b/c/10.png", "a.png", "b.png", "B.png", "b/.hidden/x.png")
    assert list_images(tmp_path) == ["B.png", "a.png", "b.png", "b/.hidden/x.png", "b/c/10.png", "b/c/2.png"]


def test_a_folder_with_an_images_suffix_is_no_image(tmp_path: Path) -> None:
    touch(tmp_path, "folder.png/inside.png")
    assert list_images(tmp_path) == ["folder.png/inside.png"]


@pytest.mark.parametrize(
    "name", ["a b.png", "a\nb.png", 'a"b.png', "a'b.png", "a,b.png", "=a.png", "é犬🐈.png", "-.png"]
)
def test_any_name_is_taken(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    assert list_images(tmp_path) == [name]


def test_links_that_stay_under_the_root_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png")
    (tmp_path / "link.png").symlink_to("real/a.png")
    (tmp_path / "folder").symlink_to("real")
    assert list_images(tmp_path) == ["folder/a.png", "link.png", "real/a.png"]


def test_links_in_circles_are_cut(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/x.png")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "here").symlink_to(".")
    (tmp_path / "self").symlink_to("self")
    assert list_images(tmp_path) == ["a/b/x.png"]


def test_links_that_leave_the_root_or_lead_nowhere_are_ignored(tmp_path: Path) -> None:
    touch(tmp_path, "root/a.png", "outside/b.png", "root-too/c.png")
    root = tmp_path / "root"
    (root / "file.png").symlink_to("../outside/b.png")
    (root / "folder").symlink_to("../outside")
    (root / "neighbour").symlink_to("../root-too")
    (root / "broken.png").symlink_to("nowhere.png")
    assert list_images(root) == ["a.png"]


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png")
    (tmp_path / "root").symlink_to("real")
    assert list_images(tmp_path / "root") == ["a.png"]


def test_what_would_hang_its_reader_is_ignored(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert list_images(tmp_path) == ["a.png"]


def test_a_name_that_is_no_text_is_no_reason_to_crash(in_tmp: Path) -> None:
    touch(in_tmp, "images/a.png", "images/b.png")
    Path(os.fsdecode(b"images/\xff.png")).write_bytes(b"")
    ended = dfal("select", "--images", "images", "--strategy", "random", "--count", 3, "--out", "q.csv")
    assert ended.code in (0, 3)

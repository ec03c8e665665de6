"""Which files under the image root are images."""

import os
import subprocess
from pathlib import Path

import pytest

from dfal_cli.images import list_images


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def listed(root: Path) -> list[str]:
    images, unreadable = list_images(root)
    assert not unreadable
    return images


def test_images_are_known_by_their_suffix_in_any_case(tmp_path: Path) -> None:
    images = ["a.png", "b.PNG", "c.Jpg", "d.jpeg", "e.gif", "f.bmp", "g.tif", "h.TIFF", "i.webp"]
    touch(tmp_path, *images, "x.txt", "png", "x.png.txt", "x.npy", "y.pngx")
    assert listed(tmp_path) == images


def test_folders_are_entered_and_the_paths_are_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b/c/2.png", "b/c/10.png", "a.png", "b.png", "B.png", "b/.hidden/x.png")
    assert listed(tmp_path) == ["B.png", "a.png", "b.png", "b/.hidden/x.png", "b/c/10.png", "b/c/2.png"]


def test_a_folder_with_an_images_suffix_is_no_image(tmp_path: Path) -> None:
    touch(tmp_path, "folder.png/inside.png")
    assert listed(tmp_path) == ["folder.png/inside.png"]


@pytest.mark.parametrize(
    "name", ["a b.png", "a\nb.png", 'a"b.png', "a'b.png", "a,b.png", "=a.png", "é犬🐈.png", "-.png", "..png", ".png"]
)
def test_any_name_is_taken(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    assert listed(tmp_path) == [name]


def test_links_that_stay_under_the_root_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png")
    (tmp_path / "link.png").symlink_to("real/a.png")
    (tmp_path / "folder").symlink_to("real")
    assert listed(tmp_path) == ["folder/a.png", "link.png", "real/a.png"]


def test_links_in_circles_are_cut(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/x.png")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "here").symlink_to(".")
    (tmp_path / "self").symlink_to("self")
    assert listed(tmp_path) == ["a/b/x.png"]


def test_links_that_leave_the_root_or_lead_nowhere_are_told_of(tmp_path: Path) -> None:
    touch(tmp_path, "root/a.png", "outside/b.png", "root-too/c.png")
    root = tmp_path / "root"
    for name, target in {
        "file.png": "../outside/b.png",
        "folder": "../outside",
        "neighbour": "../root-too",
        "broken.png": "nowhere.png",
        "self.png": "self.png",
        "notes": "nowhere",
    }.items():
        (root / name).symlink_to(target)
    assert list_images(root) == (
        ["a.png"],
        [
            ("broken.png", "No such file or directory"),
            ("file.png", "a link that leaves the image root"),
            ("folder/", "a link that leaves the image root"),
            ("neighbour/", "a link that leaves the image root"),
            ("self.png", "Too many levels of symbolic links"),
        ],
    )


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png")
    (tmp_path / "root").symlink_to("real")
    assert listed(tmp_path / "root") == ["a.png"]


def test_what_would_hang_its_reader_is_told_of(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    assert list_images(tmp_path) == (
        ["a.png"],
        [("null.png", "a link that leaves the image root"), ("pipe.png", "a FIFO, not an image file")],
    )


def test_a_name_that_is_no_text_is_told_of_in_text(in_tmp: Path) -> None:
    touch(in_tmp, "images/a.png", "images/b.png")
    Path(os.fsdecode(b"images/\xff.png")).write_bytes(b"")
    assert list_images(in_tmp / "images") == (
        ["a.png", "b.png"],
        [("\\xff.png", "its name is not UTF-8; rename it")],
    )


def test_a_folder_in_a_thousand_folders_is_found(in_tmp: Path) -> None:
    for _ in range(1500):
        os.mkdir("d")  # noqa: PTH102 - by steps: the whole path is longer than may be given at once
        os.chdir("d")
    Path("a.png").touch()
    os.chdir(in_tmp)
    found = list_images(in_tmp).images
    subprocess.run(["rm", "-r", "d"], check=True)  # Python's own way of removing it goes too deep
    assert found == ["d/" * 1500 + "a.png"]

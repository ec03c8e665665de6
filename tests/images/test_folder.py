"""Which files under the image root are images."""

import os
import subprocess
from pathlib import Path

import pytest

from dfal_cli.images import ImageError, formats, list_images, resolve_image
from dfal_cli.images.folder import OUTSIDE_LINK
from tests.images.availability import available


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def listed(root: Path) -> list[str]:
    images, unreadable, _ = list_images(root)
    assert not unreadable
    return images


def test_suffixes_are_recognised_in_any_case(tmp_path: Path) -> None:
    images = ["a.png", "b.PNG", "c.Jpg", "d.jpeg", "e.gif", "f.bmp", "g.tif", "h.TIFF", "i.webp", "j.JFIF", "k.jpe"]
    images += ["l.jpg_large"]
    touch(tmp_path, *images, "x.txt", "png", "x.png.txt", "x.npy", "y.pngx")
    assert listed(tmp_path) == images


def test_folders_are_searched_and_paths_are_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b/c/2.png", "b/c/10.png", "a.png", "b.png", "B.png")
    assert listed(tmp_path) == ["B.png", "a.png", "b.png", "b/c/10.png", "b/c/2.png"]


def test_a_folder_with_an_image_suffix_is_not_an_image(tmp_path: Path) -> None:
    touch(tmp_path, "folder.png/inside.png")
    assert listed(tmp_path) == ["folder.png/inside.png"]


@pytest.mark.parametrize(
    "name", ["a b.png", "a\nb.png", 'a"b.png', "a'b.png", "a,b.png", "=a.png", "é犬🐈.png", "-.png"]
)
def test_any_file_name_is_accepted(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    assert listed(tmp_path) == [name]


def test_links_that_stay_under_the_root_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png")
    (tmp_path / "link.png").symlink_to("real/a.png")
    (tmp_path / "folder").symlink_to("real")
    assert listed(tmp_path) == ["folder/a.png", "link.png", "real/a.png"]


def test_circular_links_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/x.png")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "here").symlink_to(".")
    (tmp_path / "self").symlink_to("self")
    assert listed(tmp_path) == ["a/b/x.png"]


def test_broken_links_and_links_that_leave_the_root_are_reported(tmp_path: Path) -> None:
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
    assert list_images(root)[:2] == (
        ["a.png"],
        [
            ("broken.png", "No such file or directory"),
            ("file.png", OUTSIDE_LINK),
            ("folder/", OUTSIDE_LINK),
            ("neighbour/", OUTSIDE_LINK),
            ("self.png", "Too many levels of symbolic links"),
        ],
    )


def test_follow_links_allows_links_out_of_the_root_but_not_paths(tmp_path: Path) -> None:
    touch(tmp_path, "root/a.png", "store/b", "store/c/d.png")
    root = tmp_path / "root"
    for name, target in {"b.png": "../store/b", "c": "../store/c", "c/up": "../../root", "gone.png": "nowhere"}.items():
        (root / name).symlink_to(target)
    assert list_images(root, follow_links=True)[:2] == (
        ["a.png", "b.png", "c/d.png"],
        [("gone.png", "No such file or directory")],
    )
    for name in ("b.png", "c/d.png"):
        assert resolve_image(root, name, follow_links=True) == root / name
        with pytest.raises(ImageError, match="--follow-links"):
            resolve_image(root, name)  # what was allowed there is not allowed here
    for name in ("../store/c/d.png", "c/../b", str(tmp_path / "store" / "b")):
        with pytest.raises(ImageError, match="leaves the image root"):
            resolve_image(root, name, follow_links=True)


def test_hidden_files_and_folders_are_skipped_and_counted(tmp_path: Path) -> None:
    touch(
        tmp_path, "a.png", "._a.png", ".png", "..png", ".DS_Store", "Thumbs.db", "b/.hidden/x.png", "c/__MACOSX/c.png"
    )
    touch(tmp_path, "@eaDir/a.png/SYNOPHOTO_THUMB_M.png", ".ipynb_checkpoints/a-checkpoint.png", "d.@eaDir.png")
    found = list_images(tmp_path)
    assert found.images == ["a.png", "d.@eaDir.png"]
    assert found.skipped.hidden == 2 + 4  # files that would be images, and folders
    assert not found.skipped.others


def test_a_hidden_root_is_searched(tmp_path: Path) -> None:
    touch(tmp_path, ".cache/__MACOSX/a.png")
    assert listed(tmp_path / ".cache" / "__MACOSX") == ["a.png"]


def test_files_in_unsupported_image_formats_are_counted_by_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.psd", "c/d.PSD", "e.cr2", "IMG_0001", "labels.csv", "notes.txt", "x.png.txt", "y.npy")
    found = list_images(tmp_path)
    assert found.images == ["a.png"]
    assert found.skipped.others == {".psd": 2, ".cr2": 1, "": 1}


def test_optional_formats_of_pillow_are_listed_only_if_it_supports_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.avif", "b.jp2", "c.heic", "d.png")
    for missing in ((), ("AVIF", "HEIF")):
        with available(monkeypatch, *(name for name in formats.FORMATS if name not in missing)):
            found = list_images(tmp_path)
        assert found.images == (["b.jp2", "d.png"] if missing else ["a.avif", "b.jp2", "c.heic", "d.png"])
        assert found.skipped.others == ({".avif": 1, ".heic": 1} if missing else {})


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png")
    (tmp_path / "root").symlink_to("real")
    assert listed(tmp_path / "root") == ["a.png"]


def test_files_that_would_block_a_reader_are_reported(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    assert list_images(tmp_path)[:2] == (
        ["a.png"],
        [("null.png", OUTSIDE_LINK), ("pipe.png", "a FIFO, not an image file")],
    )


def test_a_name_that_is_not_utf_8_is_reported_as_text(in_tmp: Path) -> None:
    touch(in_tmp, "images/a.png", "images/b.png")
    Path(os.fsdecode(b"images/\xff.png")).write_bytes(b"")
    assert list_images(in_tmp / "images")[:2] == (
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

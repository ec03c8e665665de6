"""Files that are not what they are called: each is scored, or listed with the reason; none hangs or fills memory."""

import contextlib
import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfal_cli.errors import shown
from dfal_cli.images import ImageError, decode_image
from dfal_cli.images.folder import OUTSIDE_LINK
from tests.conftest import Ended, dfal, dfal_process, draw_folder, write, write_margins
from tests.page import Page
from tests.reliability.lying_images import SCORED, UNREADABLE, png, zeros

LINKS = {
    "leaves.png": ("../outside.png", OUTSIDE_LINK),
    "leaves too": ("..", OUTSIDE_LINK),
    "nowhere.png": ("gone.png", "No such file or directory"),
    "itself.png": ("itself.png", "Too many levels of symbolic links"),
    "device.png": ("/dev/zero", OUTSIDE_LINK),
}
SPECIAL = {"fifo.png": "a FIFO, not an image file", "socket.png": "a socket, not an image file"}

MEGABYTE = 2**20

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")  # pytest has taken ours away


def draw_special(images: Path) -> None:
    """Links, a FIFO, a socket, folders in a circle, a folder named like an image."""
    for name, (target, _) in LINKS.items():
        (images / name).symlink_to(target)
    os.mkfifo(images / "fifo.png")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(images / "socket.png"))
    (images / "folder.png").mkdir()
    (images / "folder.png" / "in it.png").write_bytes(SCORED["LA.png"])
    (images / "folder.png" / "circle").symlink_to("..")


@pytest.fixture(scope="module")
def scored(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A folder with images/ full of lies and scores.csv, and how the command ended."""
    root = tmp_path_factory.mktemp("lies")
    images = root / "images"
    images.mkdir()
    (root / "outside.png").write_bytes(SCORED["LA.png"])
    for name, content in SCORED.items():
        (images / name).write_bytes(content)
    for name, (content, _) in UNREADABLE.items():
        (images / name).write_bytes(content)
    with (images / "of gigabytes.webp").open("wb") as file:
        file.write(b"RIFF\xff\xff\xff\x7fWEBPVP8L")
        file.truncate(3 * 10**9)
    draw_special(images)
    ended = dfal_process(
        "score", "--images", images, "--checkpoint", trained / "model.safetensors", "--out", root / "scores.csv",
        "--max-unreadable", 1, "--quiet", "--device", "cpu", timeout=120,
    )  # fmt: skip
    return root, ended


def column(path: Path, name: str) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["image"]: row[name] for row in csv.DictReader(file)}


def test_a_folder_full_of_lies_is_scored_with_one_line_about_them(scored: tuple[Path, Ended]) -> None:
    root, ended = scored
    assert ended.code == 0, ended.stderr
    listing = root / "scores.csv.unreadable.csv"
    total = len(SCORED) + len(UNREADABLE) + len(LINKS) + len(SPECIAL) + 2
    bad = len(column(listing, "reason"))
    said = [line for line in ended.stderr.splitlines() if "cannot be read" in line]
    assert said == [f"warning: {bad} of {total} images cannot be read; see {listing} for the reasons"]


@pytest.mark.parametrize("name", [*SCORED, "folder.png/in it.png"])
def test_it_is_scored(scored: tuple[Path, Ended], name: str) -> None:
    outcomes = column(scored[0] / "scores.csv", "outcome")
    assert outcomes[name] in ("crossed", "uncrossed")
    assert name not in column(scored[0] / "scores.csv.unreadable.csv", "reason")


REASONS = {
    **{name: reason for name, (_, reason) in UNREADABLE.items()},
    **{name.replace("leaves too", "leaves too/"): reason for name, (_, reason) in LINKS.items()},
    **SPECIAL,
    "of gigabytes.webp": "the file is too large: more than 1,000,000,000 bytes",
}


@pytest.mark.parametrize(("name", "reason"), REASONS.items(), ids=REASONS)
def test_it_is_listed_with_its_reason(scored: tuple[Path, Ended], name: str, reason: str) -> None:
    found = column(scored[0] / "scores.csv.unreadable.csv", "reason")[name]
    assert reason in found
    assert found
    assert str(scored[0]) not in found
    assert name not in column(scored[0] / "scores.csv", "outcome")


MEASURED = """
import resource, sys
from pathlib import Path
from dfal_cli.images import ImageError, decode_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in map(Path, sys.argv[1:]):
    try:
        decode_image(path, (3, 16, 16))
    except ImageError:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def memory_for(*paths: Path) -> int:
    """MB that a process grows by at most when it decodes the images, one after the other."""
    done = subprocess.run([sys.executable, "-c", MEASURED, *paths], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return int(done.stdout) // 1024


def test_no_bomb_takes_more_memory_than_a_photograph(scored: tuple[Path, Ended]) -> None:
    images = scored[0] / "images"
    assert (
        memory_for(*(path for path in sorted(images.iterdir()) if path.is_file() and path.name != "leaves.png")) < 150
    )


@pytest.mark.parametrize(
    ("bits", "kind", "channels", "most"), [(8, 6, 4, 1500), (16, 0, 2, 700)], ids=["transparent", "16 bits"]
)
def test_the_largest_image_takes_no_more_than_promised(
    tmp_path: Path, bits: int, kind: int, channels: int, most: int
) -> None:
    side = 9000
    content = png(side, side, zeros(side * (channels * side + 1)), bits=bits, kind=kind)
    (tmp_path / "largest.png").write_bytes(content)
    assert memory_for(tmp_path / "largest.png") < most


def test_of_floats_what_is_not_finite_changes_no_other_pixel(tmp_path: Path) -> None:
    pixels = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    odd = pixels.copy()
    odd[0, :3] = np.nan, np.inf, -np.inf
    shown = []
    for name, values in (("plain.tif", pixels), ("odd.tif", odd)):
        Image.fromarray(values).save(tmp_path / name)
        shown.append(decode_image(tmp_path / name, (1, 4, 4))[0])
    assert shown[1][0, :3].tolist() == [0, 255, 0]
    assert np.array_equal(shown[0].ravel()[3:], shown[1].ravel()[3:])


def test_a_damaged_image_is_read_or_refused_and_nobody_else_says_anything(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(0)
    small = [content for content in SCORED.values() if len(content) < 5000]
    read = 0
    for number in range(500):
        content = bytearray(small[number % len(small)])
        for place in generator.integers(len(content), size=generator.integers(1, 5)):
            content[place : place + 4] = generator.bytes(generator.integers(5))
        (tmp_path / "a.png").write_bytes(content)
        with contextlib.suppress(ImageError):
            decode_image(tmp_path / "a.png", (1, 16, 16))
            read += 1
    assert 50 < read < 450
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/zero")
def test_a_device_is_not_even_opened() -> None:
    with pytest.raises(ImageError, match="a device"):
        decode_image(Path("/dev/zero"), (1, 8, 8))


LABELLED = {
    "fifo.png": "a FIFO, not an image file",
    "leaves.png": OUTSIDE_LINK,
    "a page.jpg": "not an image in a format that can be read",
    "claims to be huge.png": "too many pixels",
    f"{'long' * 70}.png": "File name too long",
}


def test_training_leaves_out_a_labelled_image_whose_link_is_broken(scored: tuple[Path, Ended], tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", "image,label", "LA.png,a", "1x1.png,b", "nowhere.png,a")
    ended = dfal("train", "--images", scored[0] / "images", "--labels", labels, "--out", tmp_path / "m.safetensors",
                 "--epochs", 1, "--device", "cpu")  # fmt: skip
    assert ended.code == 0, ended.stderr
    assert "nowhere.png (line 4); training leaves them out" in ended.stderr


@pytest.mark.parametrize(("name", "reason"), LABELLED.items(), ids=[name[:30] for name in LABELLED])
def test_training_stops_at_a_labelled_image_that_cannot_be_read_and_names_its_line(
    scored: tuple[Path, Ended], tmp_path: Path, name: str, reason: str
) -> None:
    labels = write(tmp_path / "labels.csv", "image,label", "LA.png,a", "1x1.png,b", f"{name},a")
    for further in ((), ("--image-size", 16, "--gray")):
        ended = dfal("train", "--images", scored[0] / "images", "--labels", labels, "--out", tmp_path / "m.safetensors",
                     "--epochs", 1, "--device", "cpu", *further)  # fmt: skip
        assert ended.code == 3
        (line,) = ended.stderr.splitlines()[-1:]
        assert line.startswith(f"dfal train: {labels}, line 4: image {shown(name)}: ")
        assert reason in line
    assert not (tmp_path / "m.safetensors").exists()


def test_a_first_list_asks_about_nothing_that_is_no_file(scored: tuple[Path, Ended], tmp_path: Path) -> None:
    ended = dfal("select", "--images", scored[0] / "images", "--strategy", "random", "--count", 1000,
                 "--out", tmp_path / "q.csv", "--preview", tmp_path / "p.html")  # fmt: skip
    assert ended.code == 0
    assert "7 images cannot be read, the first: 'device.png': a link that leaves the image root" in ended.stderr
    asked = column(tmp_path / "q.csv", "rank")
    assert {*SCORED, *UNREADABLE} <= set(asked)
    assert not {*LINKS, *SPECIAL} & set(asked)
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert page.count("cannot be read: ") == len(UNREADABLE) + 1


def test_a_preview_says_what_has_become_of_its_images_and_waits_for_none(in_tmp: Path) -> None:
    images = draw_folder(in_tmp, each=2) / "images"
    (images / "000.png").rename("outside.png")
    (images / "000.png").symlink_to("../outside.png")
    (images / "001.png").unlink()
    os.mkfifo(images / "001.png")
    os.mkfifo("twin.npy")
    write_margins(
        in_tmp / "s.parquet", images, dict.fromkeys(("000.png", "001.png", "002.png"), 0.5), twin=["twin.npy"] * 3
    )
    ended = dfal("select", "--scores", "s.parquet", "--count", 3, "--out", "q.csv", "--preview", "p.html")
    assert ended.code == 0
    page = Page(in_tmp / "p.html")
    assert OUTSIDE_LINK in page.text
    assert SPECIAL["fifo.png"] in page.text
    assert len(page.pictures()) == 1


def test_simulate_lists_what_cannot_be_read_before_it_trains(scored: tuple[Path, Ended], tmp_path: Path) -> None:
    names = [name for name in REASONS if "/" not in name]
    oracle = write(tmp_path / "oracle.csv", "image,label", "LA.png,a", *(f'"{name}",b' for name in names))
    test = write(tmp_path / "test.csv", "image,label", "1x1.png,a", "1 bit.png,b")
    ended = dfal("simulate", "--images", scored[0] / "images", "--labels", oracle, "--test", test, "--out",
                 tmp_path / "sim", "--initial", 1, "--count", 1, "--budget", 2, "--device", "cpu",
                 "--strategies", "random", "--image-size", 16, "--gray")  # fmt: skip
    assert ended.code == 3
    listed = column(tmp_path / "sim" / "unreadable.csv", "reason")
    assert set(listed) == set(names)
    assert listed["fifo.png"] == SPECIAL["fifo.png"]
    assert listed["leaves.png"] == OUTSIDE_LINK

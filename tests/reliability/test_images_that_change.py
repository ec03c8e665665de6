"""Images that vanish, shrink or are replaced while a command runs: each is scored or listed."""

import csv
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dfal_cli.errors import DataError
from dfal_cli.images import ImageFolder, Listing
from dfal_cli.images.folder import OUTSIDE_LINK
from dfal_cli.images.formats import FORMATS
from dfal_cli.images.opening import opened_image
from dfal_cli.steps.score.command import score
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.reporting import Silent
from tests.conftest import write


class Meanwhile(Silent):
    """Does something in the middle of a command: when it first says something that begins so."""

    def __init__(self, said: str, act: Callable[[], object]) -> None:
        super().__init__()
        self._said, self._act = said, act

    def note(self, text: str) -> None:
        if text.startswith(self._said):
            self._said = "\0"
            self._act()

    def progress(self, what: str, total: int, unit: str, done: int = 0) -> Any:
        self.note(what)
        return super().progress(what, total, unit, done)


@pytest.fixture
def house(trained: Path, in_tmp: Path) -> Path:
    """images/ with 40 images, model.safetensors; the working directory."""
    shutil.copytree(trained / "images", "images")
    shutil.copy(trained / "model.safetensors", ".")
    return in_tmp


def options(**further: Any) -> ScoreOptions:
    settings = {"max_unreadable": 1.0, "batch_size": 4, "workers": 0, "device": "cpu"} | further
    return ScoreOptions(images=Path("images"), checkpoint=Path("model.safetensors"), out=Path("s.csv"), **settings)


def cells(file: str, column: str) -> dict[str, str]:
    with Path(file).open(encoding="utf-8", newline="") as handle:
        return {row["image"]: row[column] for row in csv.DictReader(handle)}


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def test_what_vanishes_or_shrinks_before_it_is_read_is_listed_and_what_is_replaced_is_scored(house: Path) -> None:
    def vandalise() -> None:
        Path("images/035.png").unlink()
        shorten(Path("images/036.png"))
        Path("images/000.png").replace("images/037.png")
        Path("images/038.png").unlink()
        os.mkfifo("images/038.png")
        Path("images/039.png").unlink()
        Path("images/039.png").symlink_to("/etc/passwd")

    result = score(options(), Meanwhile("scoring ", vandalise))
    assert result.counts["scored"] == 35
    assert cells("s.csv.unreadable.csv", "reason") == {
        "000.png": "no such file",
        "035.png": "no such file",
        "036.png": "image file is truncated",
        "038.png": "a FIFO, not an image file",
        "039.png": OUTSIDE_LINK,
    }
    assert "037.png" in cells("s.csv", "outcome")


def test_what_vanishes_before_its_margin_is_computed_keeps_its_measures_and_is_listed(house: Path) -> None:
    gone = {f"{number:03}.png" for number in range(0, 40, 4)}
    reporter = Meanwhile("finding the nearest", lambda: [Path("images", image).unlink() for image in gone])
    result = score(options(nearest=40), reporter)
    assert set(cells("s.csv.unreadable.csv", "reason")) == gone
    assert result.counts["unreadable"] == len(gone)
    assert any(f"{len(gone)} of 40 images cannot be read" in warning for warning in reporter.warnings)
    outcomes, entropies = cells("s.csv", "outcome"), cells("s.csv", "entropy")
    assert len(outcomes) == 40
    assert all(outcomes[image] == "skipped" and entropies[image] for image in gone)


def test_a_twin_whose_image_has_vanished_is_not_kept(house: Path) -> None:
    result = score(options(twins=40), Meanwhile("computing twins", Path("images/000.png").unlink))
    assert not cells("s.csv", "twin")["000.png"]
    assert result.counts["twins"] > 0
    assert set(cells("s.csv.unreadable.csv", "reason")) == {"000.png"}


class Vanishing(ImageFolder):
    """A folder of which an image is gone as soon as it has been listed."""

    def listing(self) -> Listing:
        found = super().listing()
        (self.root / found.images[0]).unlink()
        return found


def test_what_vanishes_just_after_it_was_listed_is_listed_as_unreadable(house: Path) -> None:
    assert score(options(), Silent(), Vanishing(Path("images"))).counts["unreadable"] == 1
    assert cells("s.csv.unreadable.csv", "reason") == {"000.png": "no such file"}


def test_a_root_that_vanishes_stops_the_run_and_leaves_the_earlier_scores(house: Path) -> None:
    score(options(), Silent())
    before = Path("s.csv").read_bytes()
    away = Meanwhile("scoring ", lambda: Path("images").rename("away"))
    with pytest.raises(DataError, match="40 of 40 images cannot be read"):
        score(options(max_unreadable=0.05, force=True), away)
    assert Path("s.csv").read_bytes() == before
    assert set(cells("s.csv.unreadable.csv", "reason").values()) == {"no such file"}


@pytest.mark.parametrize("said", ["input: ", "reading"])
def test_training_names_the_labelled_image_that_vanishes(house: Path, said: str) -> None:
    labels = write(
        house / "labels.csv", "image,label", *(f"{number:03}.png,{'ab'[number % 2]}" for number in range(40))
    )
    training = TrainOptions(images=Path("images"), labels=[labels], out=Path("new.safetensors"), epochs=1, device="cpu")
    with pytest.raises(DataError, match=r"labels.csv, line 41: image '039.png': no such file; repair it, or label it"):
        train(training, Meanwhile(said, Path("images/039.png").unlink))
    assert not Path("new.safetensors").exists()


def test_while_somebody_deletes_and_rewrites_every_image_each_is_scored_or_listed(house: Path) -> None:
    content = Path("images/000.png").read_bytes()
    over = threading.Event()

    def vandalise() -> None:
        while not over.is_set():
            for path in sorted(Path("images").iterdir()):
                path.unlink()
                path.write_bytes(content[:50])
                path.write_bytes(content)

    vandal = threading.Thread(target=vandalise)
    reporter = Meanwhile("scoring ", vandal.start)
    try:
        result = score(options(nearest=10, workers=2), reporter)
    finally:
        over.set()
        vandal.join()
    scored = set(cells("s.csv", "outcome"))
    listed = set(cells("s.csv.unreadable.csv", "reason")) if result.counts["unreadable"] else set()
    assert scored | listed == {f"{number:03}.png" for number in range(40)}


SHRINKING = """
import contextlib, os, sys, threading
from pathlib import Path
from dfal_cli.images import ImageError, decode_image
path = Path(sys.argv[1])
size = path.stat().st_size
content = path.read_bytes()
over = threading.Event()
def shrink():
    while not over.is_set():
        os.truncate(path, 5000)
        path.write_bytes(content)
threading.Thread(target=shrink).start()
for _ in range(40):
    with contextlib.suppress(ImageError):
        decode_image(path, (3, 32, 32))
over.set()
"""


@pytest.mark.parametrize(("suffix", "settings"), [("bmp", {}), ("tif", {}), ("tif", {"compression": "tiff_lzw"})])
def test_an_image_cut_short_while_it_is_decoded_kills_nobody(
    tmp_path: Path, suffix: str, settings: dict[str, Any]
) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (2000, 2000), dtype=np.uint8)).save(path, **settings)
    done = subprocess.run([sys.executable, "-c", SHRINKING, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("suffix", ["bmp", "tif", "png", *(["jp2"] if FORMATS["JPEG2000"].available else [])])
def test_no_decoder_is_told_the_number_of_a_file_by_which_it_could_map_it(tmp_path: Path, suffix: str) -> None:
    Image.new("L", (8, 8)).save(tmp_path / f"a.{suffix}")
    with opened_image(tmp_path / f"a.{suffix}") as image:
        assert image.filename == ""
        with pytest.raises(OSError, match="fileno"):
            image.fp.fileno()

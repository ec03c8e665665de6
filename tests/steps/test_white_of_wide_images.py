"""Images of more than 8 bits: train settles one scale, the checkpoint keeps it, score and simulate go by it."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.images import InputFormat
from tests.conftest import Ended, dfal, draw_divided_folder
from tests.page import Page

SETTLED = "white: 4095, from the labelled images (--white)\n"
CUT_OFF = "1 image has values above 4095, the white of the training (--white): these values are clipped"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: eight/ (24 images of 8 bits), images/ (the same with 12 in 16), pool.csv, test.csv."""
    monkeypatch.chdir(draw_divided_folder(tmp_path / "house"))
    Path("images").rename("eight")
    Path("images").mkdir()
    for path in Path("eight").iterdir():
        Image.fromarray(np.asarray(Image.open(path)).astype(np.uint16) * 16).save(Path("images", path.name))
    return tmp_path / "house"


def train(*further: object, out: str = "m.safetensors", images: str = "images") -> Ended:
    return dfal("train", "--images", images, "--labels", "pool.csv", "--out", out, "--epochs", 2, "--device", "cpu",
                *further)  # fmt: skip


def score(*further: object, out: str = "s.parquet", checkpoint: str = "m.safetensors") -> Ended:
    return dfal("score", "--images", "images", "--checkpoint", checkpoint, "--out", out, "--nearest", 0,
                "--device", "cpu", *further)  # fmt: skip


def brighten(name: str) -> None:
    """Let an image have one pixel above 4095."""
    pixels = np.array(Image.open(f"images/{name}"))
    pixels[0, 0] = 5000
    Image.fromarray(pixels).save(f"images/{name}")


def test_train_settles_white_says_it_and_score_goes_by_it(house: Path) -> None:
    assert SETTLED in train().stderr
    assert load_checkpoint("m.safetensors").input_format == InputFormat((1, 16, 16), 4095)
    brighten("020.png")
    ended = score("--json")
    assert ended.json["warnings"][:1] == [CUT_OFF]
    assert json.loads(pq.read_schema("s.parquet").metadata[b"dfal"])["white"] == 4095
    confidence = pq.read_table("s.parquet")["confidence"].to_pylist()
    assert len({round(each, 3) for each in confidence}) > 3, "the images do not all look alike"


def test_twelve_bits_train_as_eight_do(house: Path) -> None:
    assert train().code == 0
    assert train(out="e.safetensors", images="eight").code == 0
    wide, eight = (load_checkpoint(path).metadata["metrics"] for path in ("m.safetensors", "e.safetensors"))
    assert wide["training"]["loss"] == pytest.approx(eight["training"]["loss"], abs=0.05)


def test_one_broken_pixel_does_not_make_all_images_dark(house: Path) -> None:
    brighten("000.png")
    ended = train("--cache", "cache", "--json")
    assert ended.json["warnings"] == [CUT_OFF]
    assert SETTLED in ended.stderr


def test_finding_white_leaves_next_to_nothing_in_the_cache(house: Path) -> None:
    assert train("--image-size", 64, "--white", 4095, "--cache", "named").code == 0
    assert train("--image-size", 64, "--cache", "settled", "--force").code == 0
    named, settled = (sum(path.stat().st_size for path in Path(name).rglob("*.*")) for name in ("named", "settled"))
    assert settled < 1.25 * named


def test_what_is_cut_off_is_counted_in_training_too_and_from_the_cache(house: Path) -> None:
    brighten("020.png")
    for _ in range(2):
        ended = train("--white", 4095, "--test", "test.csv", "--cache", "cache", "--force", "--json")
        assert ended.json["warnings"][0] == CUT_OFF  # a network that has learnt little may be warned of, too
        assert "white:" not in ended.stderr.replace(CUT_OFF, "")
        ended = score("--cache", "cache", "--force", "--json")
        assert ended.json["warnings"][:1] == [CUT_OFF]


def test_a_network_of_8_bits_that_meets_wide_images_warns_once(house: Path) -> None:
    assert train(images="eight").code == 0
    assert load_checkpoint("m.safetensors").input_format.white is None
    ended = score("--json")
    assert ended.code == 0
    assert sum("24 images have more than 8 bits, unlike" in text for text in ended.json["warnings"]) == 1


def test_init_goes_on_with_the_white_of_its_checkpoint(house: Path) -> None:
    assert train("--white", 8000).code == 0
    assert train("--init", "m.safetensors", out="n.safetensors").code == 0
    assert load_checkpoint("n.safetensors").input_format.white == 8000
    ended = train("--init", "m.safetensors", "--white", 4095, out="o.safetensors")
    assert (ended.code, "--white" in ended.stderr) == (2, True)


def test_pictures_in_pages_are_as_bright_as_the_network_saw_them(house: Path) -> None:
    assert train("--white", 8190).code == 0
    assert score().code == 0
    for asked, white in ((("--scores", "s.parquet", "--strategy", "entropy"), 8190), ((), 4095)):
        first = asked or ("--images", "images", "--strategy", "random")
        name = f"{white}.html"
        assert dfal("select", *first, "--count", 24, "--out", f"{white}.csv", "--preview", name).code == 0
        brightest = max(np.asarray(picture).max() for picture in Page(house / name).pictures())
        largest = max(int(np.asarray(Image.open(path)).max()) for path in Path("images").iterdir())
        assert brightest == round(largest * 255 / white)


@pytest.mark.parametrize("white", ["0", "-5", "nan", "inf"])
def test_a_white_that_cannot_be_is_refused(house: Path, white: str) -> None:
    ended = train("--white", white)
    assert (ended.code, "--white" in ended.stderr, Path("m.safetensors").exists()) == (2, True, False)


def test_simulate_goes_by_the_white_of_its_oracle(house: Path) -> None:
    for further, said in (((), ["white: 4095, from the images of the pool (--white)"]), (("--white", 2000), [])):
        ended = dfal("simulate", "--images", "images", "--labels", "pool.csv", "--test", "test.csv", "--initial", 4,
                     "--count", 4, "--budget", 8, "--epochs", 1, "--strategies", "dfal", "--jobs", 1, "--device", "cpu",
                     "--out", f"sim{len(further)}", *further)  # fmt: skip
        assert ended.code == 0, ended.stderr
        assert [line for line in ended.stderr.splitlines() if line.startswith("white:")] == said
    assert "values above 2000" in ended.stderr

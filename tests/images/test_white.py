"""The white of images of more than 8 bits."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfal_cli.errors import UsageError
from dfal_cli.images import InputFormat, check_white, common_white, decode_image, prepare, probe_image, scale_warnings
from dfal_cli.images.decode import read_image
from dfal_cli.images.white import white_of
from dfal_cli.system.reporting import Silent

SHAPE = (1, 1, 4)


def save(path: Path, *values: float, kind: type = np.uint16) -> Path:
    Image.fromarray(np.array([values], kind)).save(path)
    return path


@pytest.mark.parametrize(
    ("largest", "white"),
    [
        (0.98, 1), (1, 1), (1.02, 1.02), (0.4, 0.4), (240, 255), (270, 270), (3312, 4095), (4095, 4095), (4096, 4096),
        (12_000, 16_383), (65_535, 65_535), (100, 100), (1e6, 1e6), (0, 1),
    ],
)  # fmt: skip
def test_white_is_that_of_a_usual_scale_if_more_than_half_of_it_is_used(largest: float, white: float) -> None:
    assert white_of(largest) == white


@pytest.mark.parametrize(
    ("largest", "white"),
    [
        ([4000] * 9 + [65_535], 4095), ([0.9] * 9 + [40], 1), ([4000, 100] * 9 + [65_535] * 2, 4095),
        ([4000] * 8 + [65_535] * 2, 65_535), ([4000] * 8 + [65_535], 65_535),  # more than one in ten
        ([2000] * 9 + [3900], 4095), ([0] * 9 + [4000], 4095),  # most of them tell no scale
        ([], 1),
    ],
)  # fmt: skip
def test_common_white_is_that_of_nine_images_in_ten_if_they_have_a_scale(largest: list[float], white: float) -> None:
    assert common_white(np.array(largest, float)) == white


@pytest.mark.parametrize(
    ("suffix", "kind", "unit"),
    [("png", np.uint16, 1), ("tif", np.uint16, 1), ("tif", np.int32, 1), ("tif", np.float32, 1 / 4095)],
)
def test_a_given_white_scales_every_mode_of_more_than_8_bits(
    tmp_path: Path, suffix: str, kind: type, unit: float
) -> None:
    path = save(tmp_path / f"a.{suffix}", *(np.array([0, 819, 4095, 4100]) * unit), kind=kind)
    white = 4095.0 * unit
    assert decode_image(path, SHAPE, white).ravel().tolist() == [0, 51, 255, 255]
    assert probe_image(path).over_8_bits
    assert read_image(path, InputFormat(SHAPE, white)).max_value == pytest.approx(4100 * unit)


def test_relative_brightness_is_kept_across_images(tmp_path: Path) -> None:
    for name, top in (("a.tif", 0.98), ("b.tif", 1.02)):
        save(tmp_path / name, 0, 0.5, top, 0.5, kind=np.float32)
    white = white_of(1.02)
    one, other = (decode_image(tmp_path / name, SHAPE, white).ravel().tolist() for name in ("a.tif", "b.tif"))
    assert one[1] == other[1] == 125
    assert (one[2], other[2]) == (245, 255)


def test_without_a_white_images_are_scaled_by_the_full_scale_of_their_mode(tmp_path: Path) -> None:
    assert decode_image(save(tmp_path / "a.png", 0, 257, 514, 65_535), SHAPE).ravel().tolist() == [0, 1, 2, 255]
    floats = save(tmp_path / "a.tif", -1, 0.2, 1, 2, kind=np.float32)
    assert decode_image(floats, SHAPE).ravel().tolist() == [0, 51, 255, 255]
    integers = save(tmp_path / "b.tif", 0, 257, 70_000, 100, kind=np.int32)
    assert decode_image(integers, SHAPE).ravel().tolist() == [0, 1, 255, 0]


def test_white_does_not_affect_images_of_8_bits(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 0, 1, 128, 255, kind=np.uint8)
    assert decode_image(path, SHAPE, 4095).ravel().tolist() == [0, 1, 128, 255]
    assert read_image(path, InputFormat(SHAPE, 4095)).max_value is None


def test_images_that_do_not_fit_the_scale_are_counted() -> None:
    largest = np.array([4095.0, 4096, 5000])
    assert [text[:28] for text in scale_warnings(largest, 4095)] == ["2 images have values above 4"]
    assert [text[:32] for text in scale_warnings(largest, None)] == ["3 images have more than 8 bits, "]
    assert not list(scale_warnings(largest, 5000))
    assert not list(scale_warnings(np.empty(0), None))


@pytest.mark.parametrize("white", [0.0, -1.0, float("nan"), float("inf")])
def test_an_invalid_white_is_refused(white: float) -> None:
    with pytest.raises(UsageError, match="--white"):
        check_white(white)


@pytest.mark.parametrize("kept", [True, False])
def test_prepared_images_take_their_white_from_the_pool(
    tmp_path: Path, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kept:
        monkeypatch.setattr("dfal_cli.images.bulk_decoding.KEPT_BYTES", 0)
    for name, top in (("a.png", 1000), ("b.png", 4000), ("c.png", 5000)):
        save(tmp_path / name, 0, 819, top, 1)
    reporter = Silent()

    def prepared(white: float | None) -> list[list[int]]:
        images = prepare(
            tmp_path, ["a.png", "b.png"], ["c.png"], image_size=None, grey=None, white=white, follow_links=False,
            folder=tmp_path / f"kept{white}", workers=1, reporter=reporter,
        )  # fmt: skip
        (batch,) = images.batches([["a.png", "b.png", "c.png"]], images.input_format, 1)
        return batch.pixels[:, 0, 0].tolist()

    assert prepared(None) == [[0, 51, 62, 0], [0, 51, 249, 0], [0, 51, 255, 0]]
    assert reporter.warnings == [
        "1 image has values above 4095, the white of the training (--white): these values are clipped"
    ]
    assert prepared(5000) == [[0, 42, 51, 0], [0, 42, 204, 0], [0, 42, 255, 0]]
    assert len(reporter.warnings) == 1

"""Images that are decoded once for many rounds."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfal_cli.images import (
    PreparedImages,
    UnreadableImagesError,
    bulk_decoding,
    decode_image,
    in_batches,
    list_images,
    prepare,
    prepared,
)
from dfal_cli.system.reporting import Silent
from tests.conftest import draw_folder, draw_twins_in_size, swap

POOL = ["000.png", "001.png", "003.png"]
OTHERS = ["002.png", "000.png"]


def prepared_in(
    folder: Path,
    pool: list[str] = POOL,
    others: list[str] = OTHERS,
    image_size: int | None = None,
    grey: bool | None = None,
    workers: int | None = None,
    follow_links: bool = False,
    white: float | None = None,
) -> PreparedImages:
    return prepare(
        folder / "images", pool, others, image_size=image_size, grey=grey, follow_links=follow_links, white=white,
        folder=folder / "kept", workers=workers, reporter=Silent(),
    )  # fmt: skip


def pixels_of(images: PreparedImages, names: list[str], batch_size: int = 2) -> np.ndarray:
    batches = list(images.batches(in_batches(names, batch_size), images.input_format, None))
    assert [name for batch in batches for name in batch.images] == names
    return np.concatenate([batch.pixels for batch in batches])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "folder", each=3)


def test_only_the_pool_is_listed_and_all_images_are_decoded_as_from_disk(folder: Path) -> None:
    images = prepared_in(folder)
    assert images.listing().images == POOL
    names = ["003.png", "002.png", "000.png"]
    expected = np.stack([decode_image(folder / "images" / name, (1, 16, 16)) for name in names])
    np.testing.assert_array_equal(pixels_of(images, names), expected)


def test_images_are_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pixels_of(prepared_in(folder), POOL)
    monkeypatch.setattr(bulk_decoding, "probe_and_decode", None)  # decoding would fail
    np.testing.assert_array_equal(pixels_of(prepared_in(folder), POOL), first)


def test_swapped_images_of_equal_size_and_time_are_decoded_again(folder: Path) -> None:
    one, other = (folder / "images" / name for name in POOL[:2])
    draw_twins_in_size(folder / "images", one.name, other.name)
    before = pixels_of(prepared_in(folder), POOL)
    swap(one, other)
    np.testing.assert_array_equal(pixels_of(prepared_in(folder), POOL)[:2], before[[1, 0]])


def test_a_changed_image_is_decoded_again(folder: Path) -> None:
    before = pixels_of(prepared_in(folder), POOL)
    shutil.copyfile(folder / "images" / "005.png", folder / "images" / "000.png")
    after = pixels_of(prepared_in(folder), POOL)
    assert (before != after).any(axis=(1, 2, 3)).tolist() == [True, False, False]
    assert len(list((folder / "kept").glob("*.npy"))) == 1


def test_a_truncated_file_is_written_again(folder: Path) -> None:
    expected = pixels_of(prepared_in(folder), POOL)
    (file,) = (folder / "kept").glob("*.npy")
    for damaged in (file.read_bytes()[:-1], b"", None):
        prepared._mapped.cache_clear()  # as another process
        file.unlink() if damaged is None else file.write_bytes(damaged)
        np.testing.assert_array_equal(pixels_of(prepared_in(folder), POOL), expected)


@pytest.mark.parametrize("place", [0, -1])
def test_the_shape_is_that_of_the_pool_images(folder: Path, place: int) -> None:
    odd = POOL[place]
    Image.new("RGB", (20, 16)).save(folder / "images" / odd)
    images = prepared_in(folder)
    assert images.shape == (3, 224, 224)
    np.testing.assert_array_equal(pixels_of(images, [odd])[0], decode_image(folder / "images" / odd, images.shape))


def test_other_images_do_not_affect_the_shape(folder: Path) -> None:
    Image.new("RGB", (20, 16)).save(folder / "images" / "002.png")
    assert prepared_in(folder).shape == (1, 16, 16)
    assert prepared_in(folder, image_size=8, grey=False).shape == (3, 8, 8)


def test_many_images_are_decoded_by_several_processes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_decoding, "PART", 2)
    names = list_images(folder / "images").images
    images = prepared_in(folder, names, [], workers=2)
    expected = np.stack([decode_image(folder / "images" / name, (1, 16, 16)) for name in names])
    np.testing.assert_array_equal(pixels_of(images, names), expected)


@pytest.mark.parametrize("part", [2, 100])
def test_all_unreadable_images_are_listed(folder: Path, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_decoding, "PART", part)
    for name in ("000.png", "002.png"):  # the first of the pool, and one of the others
        (folder / "images" / name).write_bytes(b"no image")
    with pytest.raises(UnreadableImagesError) as error:
        prepared_in(folder, workers=2)
    assert [image for image, _ in error.value.unreadable] == ["000.png", "002.png"]
    assert list((folder / "kept").iterdir()) == []


def test_too_many_images_to_store_are_read_from_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_decoding, "KEPT_BYTES", 4 * 256 - 1)
    images = prepared_in(folder)
    assert not list((folder / "kept").glob("*.npy"))
    expected = np.stack([decode_image(folder / "images" / name, (1, 16, 16)) for name in OTHERS])
    np.testing.assert_array_equal(pixels_of(images, OTHERS), expected)
    assert images.probe("000.png")[1:3] == (16, 16)

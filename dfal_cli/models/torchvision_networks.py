"""The classification networks of torchvision by name, except quantised ones."""

import contextlib
import importlib
import re
import sys
from types import ModuleType
from typing import Any

from torch import Tensor, nn

NO_AUXILIARY_HEADS = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}
"""Constructor arguments that omit auxiliary heads, which only serve the network's original training recipe."""

DENSE_LAYER = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
"""Names of DenseNet's weights in torchvision's files: `denselayer1.norm.1.weight` is now `denselayer1.norm1.weight`."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def names() -> list[str]:
    """Return the names of the networks, sorted."""
    models = _models()
    return sorted(models.list_models(module=models))


def build(name: str, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """Build the network with random weights and `num_classes` outputs; it accepts images with 3 channels."""
    arguments: dict[str, Any] = dict(NO_AUXILIARY_HEADS.get(name, {}))
    if name.startswith("vit_"):
        arguments["image_size"] = input_shape[1]
    elif name.startswith("maxvit"):
        arguments["input_size"] = input_shape[1:]
    model: nn.Module = _models().get_model(name, weights=None, num_classes=num_classes, **arguments)
    return model


def pretrained_weights(name: str) -> dict[str, Tensor]:
    """Return torchvision's weights for the network; torchvision downloads them once and caches them."""
    weights = _models().get_model_weights(name).DEFAULT
    with contextlib.redirect_stdout(sys.stderr):  # torchvision announces the download; stdout is for results
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    return renamed(state)


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights by the names of today's networks."""
    return {DENSE_LAYER.sub(r"\1\2", name): value for name, value in state.items()}


def weights_url(name: str) -> str:
    """Return the download address of these weights."""
    return str(_models().get_model_weights(name).DEFAULT.url)


def own_transform(name: str) -> Any:
    """Return the transform that belongs to these weights, an `ImageClassification` of torchvision."""
    return _models().get_model_weights(name).DEFAULT.transforms()


def _models() -> ModuleType:
    """Import torchvision.models on first use, because it takes a second."""
    return importlib.import_module("torchvision.models")

"""Every non-quantised classification network of torchvision, by its name."""

import contextlib
import importlib
import sys
from types import ModuleType
from typing import Any

from torch import Tensor, nn

NO_AUXILIARY_HEADS = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}
"""Arguments by which a constructor leaves out heads that only help its own training recipe."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def names() -> list[str]:
    """The networks' names, sorted."""
    models = _models()
    return sorted(models.list_models(module=models))


def build(name: str, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """Build the network from scratch with a head of `num_classes`; it takes 3-channel images."""
    arguments: dict[str, Any] = dict(NO_AUXILIARY_HEADS.get(name, {}))
    if name.startswith("vit_"):
        arguments["image_size"] = input_shape[1]
    elif name.startswith("maxvit"):
        arguments["input_size"] = input_shape[1:]
    model: nn.Module = _models().get_model(name, weights=None, num_classes=num_classes, **arguments)
    return model


def pretrained_weights(name: str) -> dict[str, Tensor]:
    """Torchvision's own weights for the network, which it downloads once and keeps in its cache."""
    weights = _models().get_model_weights(name).DEFAULT
    with contextlib.redirect_stdout(sys.stderr):  # it announces the download; stdout carries only results
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    return state


def weights_url(name: str) -> str:
    """Where they can be fetched from."""
    return str(_models().get_model_weights(name).DEFAULT.url)


def _models() -> ModuleType:
    """It takes a second to import, which no other network has to wait for."""
    return importlib.import_module("torchvision.models")

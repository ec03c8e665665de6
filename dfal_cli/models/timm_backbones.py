"""timm's networks as backbones: `timm/NAME`, or NAME alone if torchvision has no network of that name."""

import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from torch import nn

from dfal_cli.errors import UsageError, listed
from dfal_cli.images import Resize
from dfal_cli.images.resize import INTERPOLATIONS
from dfal_cli.models.normalised import Normalisation, Shape
from dfal_cli.models.pretrained import Recipe, Source, State

PREFIX = "timm/"
INSTALL = "pip install 'dfal-cli[timm]'"
WAYS = {"center": "crop", "squash": "stretch", "border": "pad"}
"""timm's `crop_mode` -> how the image is resized."""


def has(name: str) -> bool:
    """Return whether timm has a network of this name. Raises UsageError for `timm/NAME` if timm is not installed.

    `NETWORK.WEIGHTS` names one of the weights that timm has for a network; other weights are refused.
    """
    if not is_installed():
        if name.startswith(PREFIX):
            raise UsageError(f"--backbone {name}: timm is not installed; {INSTALL}")
        return False
    bare = name.removeprefix(PREFIX)
    if not _timm().is_model(bare):
        return False
    network, _, weights = bare.partition(".")
    known = _timm().list_models(f"{network}.*", pretrained=True)
    if weights and bare not in known:
        raise UsageError(f"--backbone {name}: timm has no such weights; use one of {listed([network, *known])}")
    return True


def names() -> set[str]:
    """Return the names of timm's networks; none if timm is not installed."""
    return set(_timm().list_models()) if is_installed() else set()


def how_to_list(words: Sequence[str]) -> str:
    """Return how to list timm's networks, those with the first of the words that some of their names contain."""
    if not is_installed():
        return f"(for networks of timm: {INSTALL})"
    pattern = next((f"*{word}*" for word in words if _timm().list_models(f"*{word}*")), "*")
    return f"""(to list names of timm: python -c "import timm; print(timm.list_models('{pattern}'))")"""


def is_installed() -> bool:
    """Return whether timm is installed."""
    return importlib.util.find_spec("timm") is not None


def recipe(name: str) -> Recipe:
    """Return how timm's data configuration of the network prepares images."""
    config = _config(name)
    side, crop = config["input_size"][1], config["crop_pct"]
    interpolation = config["interpolation"] if config["interpolation"] in INTERPOLATIONS else "bilinear"
    how = WAYS[config["crop_mode"]]
    resize = Resize(how, int(side / crop) if how == "crop" else None, interpolation)
    return Recipe(side, resize, Normalisation(tuple(config["mean"]), tuple(config["std"])))


def build(name: str, shape: Shape) -> nn.Module:
    """Build the network without its head."""
    return _created(name, shape, pretrained=False)


def pretrained(name: str, shape: Shape) -> nn.Module:
    """Build the network with timm's weights, which are downloaded once."""
    try:
        return _created(name, shape, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:  # huggingface_hub and torch raise these without a network
        home = _timm().get_pretrained_cfg(name.removeprefix(PREFIX)).hf_hub_id
        raise UsageError(
            f"--pretrained: the weights of {name} cannot be downloaded ({' '.join(str(error).split())[:200]}); "
            f"fetch model.safetensors of https://huggingface.co/{home} in another way and use it: --weights FILE"
        ) from None


def renamed(state: State, body: nn.Module) -> State:
    """Return the weights of a file as timm's loader adapts them: positions of another image size, older names."""
    adapt = getattr(sys.modules[type(body).__module__], "checkpoint_filter_fn", None)
    return state if adapt is None else dict(adapt(dict(state), body))


def _created(name: str, shape: Shape, *, pretrained: bool) -> nn.Module:
    timm, bare = _timm(), name.removeprefix(PREFIX)
    is_fixed = timm.get_pretrained_cfg(bare).fixed_input_size and shape[1:] != _config(name)["input_size"][1:]
    size = {"img_size": shape[1:]} if is_fixed else {}
    body: nn.Module = timm.create_model(bare, pretrained=pretrained, num_classes=0, **size)
    return body


def _config(name: str) -> dict[str, Any]:
    own = _timm().get_pretrained_cfg(name.removeprefix(PREFIX))
    config: dict[str, Any] = importlib.import_module("timm.data").resolve_data_config(pretrained_cfg=own.to_dict())
    return config


def _timm() -> ModuleType:
    """Import timm on first use, because it takes a second and is optional."""
    return importlib.import_module("timm")


TIMM = Source(has, recipe, build, pretrained, renamed)

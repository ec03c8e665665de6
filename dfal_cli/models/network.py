"""From an architecture's name to a network that takes images in [0, 1] as they are."""

import difflib
import importlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dfal_cli.errors import DataError, UsageError
from dfal_cli.models import torchvision_networks
from dfal_cli.models.lenet5 import lenet5
from dfal_cli.models.vgg8 import vgg8

Shape = tuple[int, int, int]
OWN_NETWORKS: dict[str, Callable[[int, Shape], nn.Module]] = {
    "lenet5": lenet5,
    "vgg8": vgg8,
}

PROBED_SIDES = (16, 24, 28, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 288, 299, 320, 384, 448, 512)
"""The image sizes tried, to tell the user which ones a network can take."""


class Normalisation(NamedTuple):
    """What is taken from, and divided out of, each channel inside the model."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


class Network(nn.Module):
    """A network with its input handling inside: normalisation, and grey repeated to the channels it wants."""

    def __init__(self, body: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.body = body
        self.normalisation = normalisation
        self.mean: Tensor
        self.std: Tensor
        # Not persistent: they are the architecture's, not learnt, and stand in the checkpoint's metadata.
        self.register_buffer("mean", torch.tensor(normalisation.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(normalisation.std)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """images: (B, C, H, W) in [0, 1] -> logits (B, K). A grey image meets 3-channel means by broadcasting."""
        logits: Tensor = self.body((images - self.mean.to(images.dtype)) / self.std.to(images.dtype))
        return logits


def runs_code(architecture: str) -> bool:
    """Whether building it imports code of the user's own (`package.module:function`)."""
    return ":" in architecture


def build_network(architecture: str, num_classes: int, input_shape: Shape, option: str = "--arch") -> Network:
    """Build the network that `option` names and try it on a batch of the input's shape.

    Raises UsageError: the name is unknown, the network cannot take this size, or is not one that returns logits.
    """
    named = f"{option} {architecture}"
    if runs_code(architecture):
        network = Network(_build_own(architecture, num_classes, input_shape, named), Normalisation())
    elif architecture in OWN_NETWORKS or architecture in torchvision_networks.names():
        problem = _shape_problem(architecture, num_classes, input_shape)
        if problem is not None:
            raise UsageError(f"{named} cannot take {_size(input_shape)} images; {_possible_sizes(architecture)}")
        network = _build_known(architecture, num_classes, input_shape)
    else:
        raise UsageError(f"{named}: no such network{_nearest_name(architecture)}")
    _check_logits(network, named, num_classes, input_shape)
    return network


def fit_weights(network: Network, state: dict[str, Tensor], source: str) -> list[str]:
    """Load the weights that fit by name and shape; return the names of those left as initialised (a new head).

    Raises DataError if most of them do not fit: these weights are another network's.
    """
    own = network.body.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    fresh = [name for name in own if name not in fitting]
    if len(fitting) * 2 < len(own):
        raise DataError(f"{source}: fits another network: {len(fitting)} of {len(own)} tensors match in name and shape")
    network.body.load_state_dict(fitting, strict=False)
    return fresh


def _build_known(architecture: str, num_classes: int, input_shape: Shape) -> Network:
    if architecture in OWN_NETWORKS:
        return Network(OWN_NETWORKS[architecture](num_classes, input_shape), Normalisation())
    body = torchvision_networks.build(architecture, num_classes, input_shape)
    return Network(body, Normalisation(torchvision_networks.IMAGENET_MEAN, torchvision_networks.IMAGENET_STD))


def _build_own(architecture: str, num_classes: int, input_shape: Shape, named: str) -> nn.Module:
    """Import `package.module:function` with the working directory importable, and call it."""
    module_name, _, function_name = architecture.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(module_name), function_name)
        body = function(num_classes=num_classes, input_shape=input_shape)
    except Exception as error:  # whatever the user's code raises is the user's to mend
        raise UsageError(f"{named}: {type(error).__name__}: {error}{_place_of(error)}") from error
    finally:
        sys.path.remove(here)
    if not isinstance(body, nn.Module):
        raise UsageError(f"{named}: returned {type(body).__name__}, not a torch.nn.Module")
    return body


def _place_of(error: Exception) -> str:
    """Where in the user's file it happened."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"


def _check_logits(network: Network, named: str, num_classes: int, input_shape: Shape) -> None:
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            logits = network(torch.zeros(2, *input_shape))
    except Exception as error:
        raise UsageError(f"{named}: fails on {_size(input_shape)} images: {error}") from error
    finally:
        network.train(training)
    if not isinstance(logits, Tensor) or logits.shape != (2, num_classes):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UsageError(f"{named}: returned {shape} for 2 images of {num_classes} classes, not logits")


def _shape_problem(architecture: str, num_classes: int, input_shape: Shape) -> Exception | None:
    """What the network says to images of this shape. The meta device computes shapes only, at no cost."""
    try:
        with torch.device("meta"), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that layers come out empty is what we are here to see
            _build_known(architecture, num_classes, input_shape).eval()(torch.zeros(2, *input_shape))
    except NotImplementedError:  # a constructor that reads values (RegNet's) needs a real device to be tried on
        return None
    except Exception as error:
        return error
    return None


def _possible_sizes(architecture: str) -> str:
    possible = [side for side in PROBED_SIDES if _shape_problem(architecture, 2, (3, side, side)) is None]
    return f"--image-size may be, for instance, {', '.join(map(str, possible))}"


def _nearest_name(architecture: str) -> str:
    near = difflib.get_close_matches(architecture, [*OWN_NETWORKS, *torchvision_networks.names()], n=3)
    return f"; did you mean {' or '.join(near)}?" if near else "; name a torchvision network or package.module:function"


def _size(input_shape: Shape) -> str:
    channels, height, width = input_shape
    return f"{width}x{height} {'grey' if channels == 1 else 'colour'}"

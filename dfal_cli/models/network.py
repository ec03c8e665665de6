"""From an architecture's name to a network that takes images in [0, 1] as they are."""

import difflib
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dfal_cli.errors import DataError, UsageError, listed
from dfal_cli.models import torchvision_networks
from dfal_cli.models.initialise import seeded
from dfal_cli.models.lenet5 import lenet5
from dfal_cli.models.normalised import Network, Normalisation, Shape, size_of
from dfal_cli.models.user_network import build_user_network, check_module_exists
from dfal_cli.models.vgg8 import vgg8

BUILTIN_NETWORKS: dict[str, Callable[[int, Shape], nn.Module]] = {
    "lenet5": lenet5,
    "vgg8": vgg8,
}

PROBED_SIDES = (16, 24, 28, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 288, 299, 320, 384, 448, 512)
"""The image sizes tried, to tell the user which ones a network can take."""

SHOWN_OF_MISFITS = 3
"""Names of tensors on either side, where weights are another network's: enough to see how they differ."""


def runs_code(architecture: str) -> bool:
    """Whether building it imports code of the user's own (`package.module:function`)."""
    return ":" in architecture


def build_network(architecture: str, num_classes: int, input_shape: Shape, option: str = "--arch") -> Network:
    """Build the network that `option` names and try it on a batch of the input's shape.

    Raises UsageError: the name is unknown, the network cannot take this size, or is not one that returns logits.
    """
    named = f"{option} {architecture}"
    check_name(architecture, option)
    if runs_code(architecture):
        return build_user_network(architecture, num_classes, input_shape, named)
    if _shape_problem(architecture, num_classes, input_shape) is not None:
        raise UsageError(f"{named} cannot take {size_of(input_shape)} images; {_possible_sizes(architecture)}")
    return _build_known(architecture, num_classes, input_shape)


def check_name(architecture: str, option: str = "--arch") -> None:
    """Raises UsageError if there is no network of this name, as far as can be seen without building it."""
    if runs_code(architecture):
        check_module_exists(architecture, f"{option} {architecture}")
    elif not is_known(architecture):
        raise UsageError(f"{option} {architecture}: no such network{_nearest_name(architecture)}")


def is_known(architecture: str) -> bool:
    """Whether dfal builds a network of this name itself."""
    return architecture in BUILTIN_NETWORKS or architecture in torchvision_networks.names()


def has_pretrained(architecture: str) -> bool:
    """Whether torchvision has weights for a network of this name."""
    return architecture in torchvision_networks.names()


def state_shapes(architecture: str, num_classes: int, input_shape: Shape) -> dict[str, Tensor]:
    """The state dict of a network that dfal knows, as shapes and types only, at no cost.

    Raises whatever its layers say if it cannot take images of this shape.
    """
    alone = seeded(0, torch.device("cpu"))  # some small weights are drawn nevertheless
    with alone, _Weightless(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that layers come out empty is what we are here to see
        network = _build_known(architecture, num_classes, input_shape).to("meta").eval()
        network(torch.zeros(2, *input_shape, device="meta"))
    return network.body.state_dict()


def load_matching_weights(network: Network, state: dict[str, Tensor], source: str) -> list[str]:
    """Load the weights that fit by name and shape; return the names of those left as initialised (a new head).

    Raises DataError if most of them do not fit: these weights are another network's. Or if they are not finite.
    """
    own = network.body.state_dict()
    taken = matching_weights(network, state)
    fresh = [name for name in own if name not in taken]
    if len(taken) * 2 < len(own):
        raise DataError(
            f"{source}: fits another network: {len(taken)} of {len(own)} tensors match in name and shape; "
            f"it has {_some(state, taken)}, where the network has {_some(own, taken)}"
        )
    check_finite(taken, source)
    network.body.load_state_dict(taken, strict=False)
    return fresh


def matching_weights(network: Network, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a state dict that the network has a place for, by name and shape."""
    own = network.body.state_dict()
    return {name: value for name, value in state.items() if name in own and _fits(value, own[name])}


def check_finite(state: dict[str, Tensor], source: object) -> None:
    """Raises DataError if a number is nan or infinite: nothing that is computed from it says anything."""
    for name, value in state.items():
        if not value.isfinite().all():
            raise DataError(f"{source}: its weights are not finite numbers ({name}); train again or take others")


def _fits(value: Tensor, own: Tensor) -> bool:
    """Whether it can stand in: a half-precision float can, a quantised integer says something else."""
    return value.shape == own.shape and value.is_floating_point() == own.is_floating_point()


def _some(state: dict[str, Tensor], without: dict[str, Tensor]) -> str:
    """Names and shapes of some of its tensors."""
    others = (f"{name} {_words(value.shape)}" for name, value in state.items() if name not in without)
    return listed(others, most=SHOWN_OF_MISFITS) or "nothing else"


def _words(shape: torch.Size) -> str:
    return f"({'x'.join(map(str, shape))})"


def _build_known(architecture: str, num_classes: int, input_shape: Shape) -> Network:
    if architecture in BUILTIN_NETWORKS:
        return Network(BUILTIN_NETWORKS[architecture](num_classes, input_shape), Normalisation())
    body = torchvision_networks.build(architecture, num_classes, input_shape)
    return Network(body, Normalisation(torchvision_networks.IMAGENET_MEAN, torchvision_networks.IMAGENET_STD))


class _Weightless(TorchFunctionMode):
    """In the block weights are shapes only; what a constructor computes from (RegNet's does) keeps its values."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called in place of each of torch's functions."""
        kwargs = kwargs or {}
        return function(*args, **(kwargs | {"device": "meta"} if function is torch.empty else kwargs))


def _shape_problem(architecture: str, num_classes: int, input_shape: Shape) -> Exception | None:
    """What the network says to images of this shape."""
    try:
        state_shapes(architecture, num_classes, input_shape)
    except Exception as error:
        return error
    return None


def _possible_sizes(architecture: str) -> str:
    possible = [side for side in PROBED_SIDES if _shape_problem(architecture, 2, (3, side, side)) is None]
    return f"--image-size may be, for instance, {', '.join(map(str, possible))}"


def _nearest_name(architecture: str) -> str:
    near = difflib.get_close_matches(architecture, [*BUILTIN_NETWORKS, *torchvision_networks.names()], n=3)
    return f"; did you mean {' or '.join(near)}?" if near else "; name a torchvision network or package.module:function"

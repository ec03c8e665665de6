"""Building networks by name, and loading weights into them."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dfal_cli.errors import DataError, UsageError, did_you_mean, listed
from dfal_cli.models import torchvision_networks
from dfal_cli.models.blank_image import try_blank_image
from dfal_cli.models.normalised import Network, Normalisation, Shape, size_of
from dfal_cli.models.paper_networks import lenet5, vgg8
from dfal_cli.models.seeding import seeded
from dfal_cli.models.user_network import build_user_network, check_module_exists
from dfal_cli.system.device import is_out_of_memory

BUILTIN_NETWORKS: dict[str, Callable[[int, Shape], nn.Module]] = {
    "lenet5": lenet5,
    "vgg8": vgg8,
}

PROBED_SIDES = (16, 24, 28, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 288, 299, 320, 384, 448, 512)
"""Image sizes to try when a message lists the sizes that a network accepts."""

SHOWN_MISMATCHES = 3
"""Number of tensors shown from each side if weights do not match the network."""


def runs_code(architecture: str) -> bool:
    """Return whether building the network imports the user's own code (`package.module:function`)."""
    return ":" in architecture


def build_network(architecture: str, num_classes: int, input_shape: Shape, option: str = "--arch") -> Network:
    """Build a network with random weights, and check that it accepts images of this shape.

    option: the command-line option that names the network, for messages.
    Raises UsageError if the name is unknown, or if the network does not accept this shape or does not return logits.
    """
    named = f"{option} {architecture}"
    check_name(architecture, option)
    if runs_code(architecture):
        return build_user_network(architecture, num_classes, input_shape, named)
    network = _accepting(architecture, num_classes, input_shape)
    if network is None:
        raise UsageError(f"{named} does not accept {size_of(input_shape)} images; {_possible_sizes(architecture)}")
    return network


def check_name(architecture: str, option: str = "--arch") -> None:
    """Raise UsageError if there is no network of this name, as far as that is known without building it."""
    if runs_code(architecture):
        check_module_exists(architecture, f"{option} {architecture}")
    elif not is_known(architecture):
        raise UsageError(f"{option} {architecture}: no such network{_nearest_name(architecture)}")


def is_known(architecture: str) -> bool:
    """Return whether the name is that of a built-in or torchvision network."""
    return architecture in BUILTIN_NETWORKS or architecture in torchvision_networks.names()


def has_pretrained(architecture: str) -> bool:
    """Return whether torchvision has pretrained weights for a network of this name."""
    return architecture in torchvision_networks.names()


def state_shapes(architecture: str, num_classes: int, input_shape: Shape) -> dict[str, Tensor]:
    """Return the state dict of a known network as tensors on the meta device, which have no data.

    Raises whatever error its constructor raises if the network does not accept images of this shape.
    """
    keep_random_state = seeded(0, torch.device("cpu"))  # some constructors draw small weights nevertheless
    with keep_random_state, MetaParameters(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about layers without elements
        network = _build_known(architecture, num_classes, input_shape).to("meta")
    return network.body.state_dict()


def load_matching_weights(network: Network, state: dict[str, Tensor], source: str) -> list[str]:
    """Load the weights that match by name and shape; return the names of those not loaded, such as a new head.

    source: where the weights come from, for messages.
    Raises DataError if fewer than half of the network's tensors match, or if the weights are not finite.
    """
    own = network.body.state_dict()
    matching = matching_weights(network, state)
    if len(matching) * 2 < len(own):
        raise DataError(
            f"{source}: weights of another network: {len(matching)} of {len(own)} tensors match in name and shape; "
            f"the file has {_some(state, matching)}, the network {_some(own, matching)}"
        )
    check_finite(matching, source)
    network.body.load_state_dict(matching, strict=False)
    return [name for name in own if name not in matching]


def matching_weights(network: Network, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a state dict that match a tensor of the network by name and shape."""
    own = network.body.state_dict()
    return {name: value for name, value in state.items() if name in own and _matches(value, own[name])}


def check_finite(state: dict[str, Tensor], source: object) -> None:
    """Raise DataError if a weight is nan or infinite."""
    for name, value in state.items():
        if not value.isfinite().all():
            raise DataError(f"{source}: some weights are not finite ({name}); train again or use other weights")


def _matches(value: Tensor, own: Tensor) -> bool:
    """Half-precision floats match; quantised integers do not."""
    return value.shape == own.shape and value.is_floating_point() == own.is_floating_point()


def _some(state: dict[str, Tensor], without: dict[str, Tensor]) -> str:
    """Return names and shapes of some tensors of a state dict, except those of `without`."""
    others = (f"{name} {_words(value.shape)}" for name, value in state.items() if name not in without)
    return listed(others, most=SHOWN_MISMATCHES) or "no others"


def _words(shape: torch.Size) -> str:
    return f"({'x'.join(map(str, shape))})"


def _build_known(architecture: str, num_classes: int, input_shape: Shape) -> Network:
    if architecture in BUILTIN_NETWORKS:
        return Network(BUILTIN_NETWORKS[architecture](num_classes, input_shape), Normalisation())
    body = torchvision_networks.build(architecture, num_classes, input_shape)
    return Network(body, Normalisation(torchvision_networks.IMAGENET_MEAN, torchvision_networks.IMAGENET_STD))


class MetaParameters(TorchFunctionMode):
    """In the block, `torch.empty`, and so parameters, are on the meta device.

    Other tensors keep their values, because some constructors compute with them (RegNet's does).
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch in place of each of its functions."""
        kwargs = kwargs or {}
        return function(*args, **(kwargs | {"device": "meta"} if function is torch.empty else kwargs))


def _accepting(architecture: str, num_classes: int, input_shape: Shape) -> Network | None:
    """Return a known network with random weights; None if it does not accept images of this shape."""
    try:
        with warnings.catch_warnings(action="ignore"):  # about layers without elements
            network = _build_known(architecture, num_classes, input_shape)
        try_blank_image(network, input_shape)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return None
    return network


def _possible_sizes(architecture: str) -> str:
    possible = [side for side in PROBED_SIDES if _accepting(architecture, 2, (3, side, side)) is not None]
    return f"use another --image-size, such as {', '.join(map(str, possible))}"


def _nearest_name(architecture: str) -> str:
    hint = did_you_mean(architecture, [*BUILTIN_NETWORKS, *torchvision_networks.names()], most=3)
    return hint or "; use a torchvision network or package.module:function"

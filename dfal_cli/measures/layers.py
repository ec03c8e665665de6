"""Per-image lengths of the gradient with respect to a layer's weights, from one backward pass of the whole batch."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import vjp, vmap


class UnsuitedError(Exception):
    """The gradients of a network's weights cannot be computed from the inputs of its layers."""


class Call(NamedTuple):
    """A call of a layer in a forward pass."""

    layer: nn.Module
    input: Tensor
    output: GradientEdge
    """The output's node in the graph; the tensor itself may have been changed in place by a later layer."""


def traced(model: nn.Module, images: Tensor) -> tuple[Tensor, list[Call]]:
    """Return logits (B, K), and the calls of all layers that have trainable weights of their own.

    Raises UnsuitedError unless each trainable weight is used in one call, and that call takes the whole batch.
    """
    calls: list[Call] = []

    def record(layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        calls.append(Call(layer, args[0].detach(), get_gradient_edge(output)))

    hooks = [layer.register_forward_hook(record) for layer in model.modules() if _own_weights(layer)]
    try:
        logits = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    uses = Counter(own for call in calls for own in call.layer.parameters(recurse=False))
    if any(uses[own] != 1 for own in model.parameters() if own.requires_grad):
        raise UnsuitedError("a weight is not used in exactly one call")
    if any(len(call.input) != len(images) for call in calls):
        raise UnsuitedError("a layer is not called with the whole batch")
    return logits, calls


def squared_lengths(call: Call) -> Callable[[Tensor], Tensor]:
    """Return a function: gradient of the layer's output, (B, ...) -> squared lengths of the weights' gradients, (B,).

    A linear layer or a convolution applies a matrix to each of P patches of an image. With patches x (P, in) and
    output gradients g (P, out), the gradient of the matrix is g'x, whose squared length is also the sum of xx' * gg'.
    """
    patches = _patches(call.layer, call.input)
    if patches is None:
        return lambda gradient: _by_vmap(call, gradient)
    positions, width = patches.shape[2:]
    if positions >= width:
        return lambda gradient: (_at_patches(call.layer, gradient) @ patches).square().sum((1, 2, 3))
    products = patches @ patches.mT  # (B, groups, P, P), the same for every gradient

    def by_products(gradient: Tensor) -> Tensor:
        transposed = _at_patches(call.layer, gradient)
        return (transposed.mT @ transposed * products).sum((1, 2, 3))

    return by_products


def _patches(layer: nn.Module, images: Tensor) -> Tensor | None:
    """Return the input as patches (B, groups, P, in), with a 1 appended for the bias.

    None if the layer is neither nn.Linear nor nn.Conv2d itself (subclasses may do anything), or is partly frozen.
    """
    if not all(own.requires_grad for own in layer.parameters(recurse=False)):
        return None
    if type(layer) is nn.Linear:
        patches = images.reshape(len(images), 1, -1, layer.in_features)
    elif type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        unfolded = F.unfold(images, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        patches = unfolded.reshape(len(images), layer.groups, -1, unfolded.shape[2]).mT
    else:
        return None
    return patches if layer.bias is None else F.pad(patches, (0, 1), value=1.0)


def _at_patches(layer: nn.Module, gradient: Tensor) -> Tensor:
    """Reshape the output of a linear layer, (B, ..., out), or a convolution, (B, out, ...), to (B, groups, out, P)."""
    if isinstance(layer, nn.Conv2d):
        return gradient.reshape(len(gradient), layer.groups, layer.out_channels // layer.groups, -1)
    return gradient.reshape(len(gradient), 1, -1, gradient.shape[-1]).mT


def _by_vmap(call: Call, gradient: Tensor) -> Tensor:
    """Return the squared lengths for a layer of any kind, by differentiating the layer again."""
    weights = _own_weights(call.layer)

    def of_image(image: Tensor, towards: Tensor) -> Tensor:
        def output(weights: dict[str, Tensor]) -> Tensor:
            with replaced_weights(call.layer, weights):
                own_output: Tensor = call.layer(image[None].clone())  # a copy: the layer may work in place
                return own_output[0]

        (own,) = vjp(output, weights)[1](towards)
        return torch.stack([each.square().sum() for each in own.values()]).sum()

    lengths: Tensor = vmap(of_image)(call.input, gradient)
    return lengths


def _own_weights(layer: nn.Module) -> dict[str, Tensor]:
    return {name: own.detach() for name, own in layer.named_parameters(recurse=False) if own.requires_grad}


@contextlib.contextmanager
def replaced_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Use `weights`, by the names of `named_parameters`, in place of these parameters in the block.

    Afterwards every parameter is restored. torch.func.functional_call is not used because it swaps a module that has
    two names twice, and then leaves the replacement in place.
    """
    names = {own: name for name, own in model.named_parameters()}
    replaced: list[tuple[dict[str, Any], str, nn.Parameter]] = [
        (module._parameters, key, own)
        for module in model.modules()
        for key, own in module._parameters.items()
        if own is not None and names[own] in weights
    ]
    try:
        for parameters, key, own in replaced:
            parameters[key] = weights[names[own]]
        yield
    finally:
        for parameters, key, own in replaced:
            parameters[key] = own

"""How long the gradient to a layer's weights is, for each image of a batch, from one backward pass of them all."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import vjp, vmap

from dfal_cli.measures.stand_ins import standing_in


class UnsuitedError(Exception):
    """The gradients to a network's weights cannot be told from what its layers are called with."""


class Call(NamedTuple):
    """A layer called in a forward pass."""

    layer: nn.Module
    input: Tensor
    output: GradientEdge
    """Where its output stood in the graph: a layer behind it may have worked in place since."""


def traced(model: nn.Module, images: Tensor) -> tuple[Tensor, list[Call]]:
    """Logits (B, K), and the calls of all layers that have trainable weights of their own.

    Raises UnsuitedError unless each trainable weight belongs to one call, and that call sees as many images.
    """
    calls: list[Call] = []

    def remember(layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        calls.append(Call(layer, args[0].detach(), get_gradient_edge(output)))

    hooks = [layer.register_forward_hook(remember) for layer in model.modules() if _own_weights(layer)]
    try:
        logits = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    uses = Counter(own for call in calls for own in call.layer.parameters(recurse=False))
    if any(uses[own] != 1 for own in model.parameters() if own.requires_grad):
        raise UnsuitedError("a weight is used in several calls, or in none")
    if any(len(call.input) != len(images) for call in calls):
        raise UnsuitedError("a layer is called with other than the batch")
    return logits, calls


def squared_lengths(call: Call) -> Callable[[Tensor], Tensor]:
    """A function of the gradients to the layer's output, (B, ...): the squared length of each image's, (B,).

    A linear layer, and a convolution, is a matrix applied to each of P patches of an image. With patches x (P, in) and
    gradients g (P, out), the gradient to the matrix is g'x, and its squared length is the sum of xx' * gg' as well.
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
    """(B, groups, P, in), with a 1 for the bias; None if the layer is another one, whose subclasses may do anything, or
    only a part of it trains.
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
    """From the output of a linear layer, (B, ..., out), or of a convolution, (B, out, ...): (B, groups, out, P)."""
    if isinstance(layer, nn.Conv2d):
        return gradient.reshape(len(gradient), layer.groups, layer.out_channels // layer.groups, -1)
    return gradient.reshape(len(gradient), 1, -1, gradient.shape[-1]).mT


def _by_vmap(call: Call, gradient: Tensor) -> Tensor:
    """The same for a layer of any kind, by differentiating it once more."""
    weights = _own_weights(call.layer)

    def of_image(image: Tensor, towards: Tensor) -> Tensor:
        def output(weights: dict[str, Tensor]) -> Tensor:
            with standing_in(call.layer, weights):
                own_output: Tensor = call.layer(image[None].clone())  # it may work in place
                return own_output[0]

        (own,) = vjp(output, weights)[1](towards)
        return torch.stack([each.square().sum() for each in own.values()]).sum()

    lengths: Tensor = vmap(of_image)(call.input, gradient)
    return lengths


def _own_weights(layer: nn.Module) -> dict[str, Tensor]:
    return {name: own.detach() for name, own in layer.named_parameters(recurse=False) if own.requires_grad}

"""How long the gradient to a layer's weights is, for each image of a batch, from one backward pass of them all."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import functional_call, vjp, vmap


class Call(NamedTuple):
    """A layer called in a forward pass."""

    layer: nn.Module
    input: Tensor
    output: GradientEdge
    """Where its output stood in the graph: a layer behind it may have worked in place since."""


def traced(model: nn.Module, images: Tensor) -> tuple[Tensor, list[Call]]:
    """Logits (B, K), and the calls of all layers that have trainable weights of their own."""
    calls: list[Call] = []

    def remember(layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        calls.append(Call(layer, args[0].detach(), get_gradient_edge(output)))

    hooks = [layer.register_forward_hook(remember) for layer in model.modules() if _own_weights(layer)]
    try:
        return model(images), calls
    finally:
        for hook in hooks:
            hook.remove()


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
    """(B, groups, P, in), with a 1 for the bias; None if the layer is another one, whose subclasses may do anything."""
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
        backward = vjp(lambda weights: functional_call(call.layer, weights, (image[None],))[0], weights)[1]
        (own,) = backward(towards)
        return torch.stack([each.square().sum() for each in own.values()]).sum()

    lengths: Tensor = vmap(of_image)(call.input, gradient)
    return lengths


def _own_weights(layer: nn.Module) -> dict[str, Tensor]:
    return {name: own.detach() for name, own in layer.named_parameters(recurse=False) if own.requires_grad}

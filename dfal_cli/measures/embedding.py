"""Penultimate features, the input of the last layer, in which CORE-SET and BADGE measure distances
(Sener and Savarese, arXiv:1708.00489; Ash and others, arXiv:1906.03671).
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dfal_cli.errors import UsageError
from dfal_cli.measures.measure import Compute, Settings, evaluating

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Matrix = nn.Linear | Convolution


class Call(NamedTuple):
    """A call of a layer in a forward pass, with copies of its input and output, as later layers may work in place."""

    layer: nn.Module
    input: Tensor
    output: Tensor
    """Input and output are averaged over space if the layer is a convolution."""


class LayerCall(NamedTuple):
    """Identifies a call of a layer in the forward pass of one image."""

    layer: nn.Module
    number: int
    """Number of the call, from 0."""
    total: int
    """Number of calls of the layer."""


def embedding(model: nn.Module, settings: Settings) -> Compute:
    """Input of the layer that computes the logits, (B, d); the input of a convolution is averaged over space.

    If no such layer is found, it is the input of the last layer with parameters, and a warning is given.
    Raises UsageError, during computation, if the network calls no layer with parameters.
    """
    found: list[LayerCall] = []

    def compute(images: Tensor) -> Tensor:
        with evaluating(model), torch.no_grad():
            if not found:
                found.append(_last_layer(model, images, settings))
            (last,) = found
            inputs = _inputs(model, last.layer, images)
            if len(inputs) == last.total and len(inputs[last.number]) == len(images):
                return inputs[last.number].flatten(1)
            # The network calls the layer several times per batch, usually once per image.
            single = [_inputs(model, last.layer, image[None])[last.number] for image in images]
            return torch.stack([features.flatten() for features in single])

    return compute


def _last_layer(model: nn.Module, images: Tensor, settings: Settings) -> LayerCall:
    """Find the layer with an image of noise: on a blank image, many layers have equal outputs."""
    noise = torch.rand(images.shape[1:], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits, calls = _calls(model, _layers(model), noise[None].to(images))
    if not calls:
        raise UsageError(f"--measure embedding: {settings.architecture} calls no layer that has parameters")
    candidates = [call for call in calls if _may_compute(logits, call)]
    exact = [call for call in candidates if torch.allclose(call.output.flatten(), logits.flatten(), 1e-4, 1e-6)]
    if not candidates:
        settings.warn(
            f"--measure embedding: no layer of {settings.architecture} computes its logits; the input of its last "
            "layer is used, which may not be the penultimate features"
        )
    last = (exact or candidates or calls)[-1]
    same = [call for call in calls if call.layer is last.layer]
    return LayerCall(last.layer, next(number for number, call in enumerate(same) if call is last), len(same))


def _may_compute(logits: Tensor, call: Call) -> bool:
    """Return whether the call may compute the logits. A layer that normalises or scales logits does not."""
    if call.output.numel() != logits.numel():
        return False
    return isinstance(call.layer, Matrix) or (call.input.dim() == 2 and call.input.shape != call.output.shape)


def _layers(model: nn.Module) -> list[nn.Module]:
    """Return the innermost layers that have parameters."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, Matrix) or (_has_parameters(layer) and not any(map(_has_parameters, _descendants(layer))))
    ]


def _has_parameters(layer: nn.Module) -> bool:
    return next(layer.parameters(recurse=False), None) is not None


def _descendants(layer: nn.Module) -> Iterable[nn.Module]:
    return (module for module in layer.modules() if module is not layer)


def _inputs(model: nn.Module, layer: nn.Module, images: Tensor) -> list[Tensor]:
    """Return the inputs of the layer's calls, (B, ...) each, in order."""
    return [call.input for call in _calls(model, [layer], images)[1]]


def _calls(model: nn.Module, layers: Sequence[nn.Module], images: Tensor) -> tuple[Tensor, list[Call]]:
    """Return logits (B, K), and the calls of these layers that take and return tensors, in order."""
    calls: list[Call] = []

    def record(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        first_input, first_output = _first_tensor([*args, *kwargs.values()]), _first_tensor(output)
        if first_input is not None and first_output is not None:
            calls.append(Call(layer, _over_space(layer, first_input), _over_space(layer, first_output)))

    hooks = [layer.register_forward_hook(record, with_kwargs=True) for layer in layers]
    try:
        logits: Tensor = model(images.clone())  # a copy: the first layer may work in place
    finally:
        for hook in hooks:
            hook.remove()
    return logits, calls


def _first_tensor(values: Any) -> Tensor | None:
    if isinstance(values, Tensor):
        return values
    if not isinstance(values, list | tuple):
        return None
    return next((value for value in values if isinstance(value, Tensor)), None)


def _over_space(layer: nn.Module, values: Tensor) -> Tensor:
    """Return a copy of a layer's values; for a convolution, their mean over space, (..., C)."""
    if isinstance(layer, Convolution):
        return values.flatten(-len(layer.kernel_size)).mean(-1)
    return values.clone()

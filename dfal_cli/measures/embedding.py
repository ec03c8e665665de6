"""The penultimate features: what the last layer sees of an image, which is where CORE-SET and BADGE measure distances
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
    """A layer called in a forward pass. Copies, as what is behind it may work in place."""

    layer: nn.Module
    input: Tensor
    output: Tensor
    """Both averaged over space if the layer is a convolution."""


class Place(NamedTuple):
    """One of the calls of a layer in a forward pass of one image."""

    layer: nn.Module
    number: int
    """Which of its calls, from 0."""
    of: int


def embedding(model: nn.Module, settings: Settings) -> Compute:
    """(B, d): the input of the layer that makes the logits; a convolution's is averaged over space.

    Where none is found it is the last layer with parameters that is called, and a warning. Raises UsageError, when it
    computes, if the network calls no such layer.
    """
    found: list[Place] = []

    def compute(images: Tensor) -> Tensor:
        with evaluating(model), torch.no_grad():
            if not found:
                found.append(_last_layer(model, images, settings))
            (place,) = found
            seen = _seen(model, place.layer, images)
            if len(seen) == place.of and len(seen[place.number]) == len(images):
                return seen[place.number].flatten(1)
            # It calls that layer more than once a batch, image by image as a rule.
            alone = [_seen(model, place.layer, image[None])[place.number] for image in images]
            return torch.stack([features.flatten() for features in alone])

    return compute


def _last_layer(model: nn.Module, images: Tensor, settings: Settings) -> Place:
    """Found with an image of noise: on a blank one, which a pool may begin with, many layers say the same."""
    noise = torch.rand(images.shape[1:], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits, calls = _calls(model, _layers(model), noise[None].to(images))
    if not calls:
        raise UsageError(f"--measure embedding: {settings.architecture} calls no layer that has parameters")
    heads = [call for call in calls if _may_make(logits, call)]
    makers = [call for call in heads if torch.allclose(call.output.flatten(), logits.flatten(), 1e-4, 1e-6)]
    if not heads:
        settings.warn(
            f"--measure embedding: no layer of {settings.architecture} makes its logits; what its last layer sees is "
            "taken, which may not be the penultimate features"
        )
    last = (makers or heads or calls)[-1]
    same = [call for call in calls if call.layer is last.layer]
    return Place(last.layer, next(number for number, call in enumerate(same) if call is last), len(same))


def _may_make(logits: Tensor, call: Call) -> bool:
    """Whether as many numbers come out as there are logits. A normalisation or temperature of logits makes none."""
    if call.output.numel() != logits.numel():
        return False
    return isinstance(call.layer, Matrix) or (call.input.dim() == 2 and call.input.shape != call.output.shape)


def _layers(model: nn.Module) -> list[nn.Module]:
    """Those that have parameters, and hold no others that do."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, Matrix) or (_parametrised(layer) and not any(map(_parametrised, _inside(layer))))
    ]


def _parametrised(layer: nn.Module) -> bool:
    return next(layer.parameters(recurse=False), None) is not None


def _inside(layer: nn.Module) -> Iterable[nn.Module]:
    return (module for module in layer.modules() if module is not layer)


def _seen(model: nn.Module, layer: nn.Module, images: Tensor) -> list[Tensor]:
    """What the layer is called with, (B, ...) each, in order."""
    return [call.input for call in _calls(model, [layer], images)[1]]


def _calls(model: nn.Module, layers: Sequence[nn.Module], images: Tensor) -> tuple[Tensor, list[Call]]:
    """Logits (B, K), and the calls of these layers that take and return tensors, in order."""
    calls: list[Call] = []

    def remember(layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        taken, made = _first_tensor([*args, *named.values()]), _first_tensor(output)
        if taken is not None and made is not None:
            calls.append(Call(layer, _over_space(layer, taken), _over_space(layer, made)))

    hooks = [layer.register_forward_hook(remember, with_kwargs=True) for layer in layers]
    try:
        logits: Tensor = model(images.clone())  # its first layer may work in place
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
    """A copy; from a convolution, its mean over space: (..., C)."""
    if isinstance(layer, Convolution):
        return values.flatten(-len(layer.kernel_size)).mean(-1)
    return values.clone()

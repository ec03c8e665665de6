"""Ways to differentiate all of a network's logit gaps to the pixels; margins/boundary.py rests on which is cheapest.

Each is a function of the network, points (B, C, H, W) and predicted classes (B,), and gives the gradients of the gaps
f_k - f_p to the R other classes, (R, B, C, H, W).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dfal_cli.margins.thin import thin_convolutions


def _gaps(model: nn.Module, points: Tensor, predicted: Tensor) -> Tensor:
    """f_k - f_p for the other classes in their order, (B, R)."""
    logits = model(points)
    others = torch.arange(logits.shape[1] - 1, device=logits.device)[None]
    others = others + (others >= predicted[:, None])  # (B, R): the predicted class is left out
    return logits.gather(1, others) - logits.gather(1, predicted[:, None])


def _ones_per_class(gaps: Tensor) -> Tensor:
    """(R, B, R): which gap each of R backward passes differentiates."""
    return torch.eye(gaps.shape[1], device=gaps.device, dtype=gaps.dtype)[:, None].expand(-1, len(gaps), -1)


def loop(model: nn.Module, points: Tensor, predicted: Tensor) -> Tensor:
    """One backward pass for each class over a retained graph."""
    leaf = points.detach().requires_grad_()
    gaps = _gaps(model, leaf, predicted).sum(0)  # (R,)
    return torch.stack([torch.autograd.grad(gap, leaf, retain_graph=True)[0] for gap in gaps])


def thin_loop(model: nn.Module, points: Tensor, predicted: Tensor) -> Tensor:
    """The same, with dfal's way back through the first convolution."""
    with thin_convolutions(model):
        return loop(model, points, predicted)


def batched(model: nn.Module, points: Tensor, predicted: Tensor) -> Tensor:
    """torch.autograd.grad with is_grads_batched."""
    leaf = points.detach().requires_grad_()
    gaps = _gaps(model, leaf, predicted)
    return torch.autograd.grad(gaps, leaf, _ones_per_class(gaps), is_grads_batched=True)[0]


def vmap_of_vjp(model: nn.Module, points: Tensor, predicted: Tensor) -> Tensor:
    """torch.func.vjp, mapped over the classes."""
    gaps, pull = torch.func.vjp(lambda leaf: _gaps(model, leaf, predicted), points)
    return torch.vmap(pull)(_ones_per_class(gaps))[0]


def jacrev(model: nn.Module, points: Tensor, predicted: Tensor) -> Tensor:
    """torch.func.jacrev of the gaps summed over the batch."""
    return torch.func.jacrev(lambda leaf: _gaps(model, leaf, predicted).sum(0))(points)


def repeated(model: nn.Module, points: Tensor, predicted: Tensor) -> Tensor:
    """One backward pass over the batch, repeated for each class."""
    with torch.no_grad():
        count = model(points[:1]).shape[1] - 1
    leaf = points.detach().repeat(count, 1, 1, 1).requires_grad_()
    gaps = _gaps(model, leaf, predicted.repeat(count))  # (R * B, R)
    own = torch.arange(count, device=points.device).repeat_interleave(len(points))
    (gradient,) = torch.autograd.grad(gaps.gather(1, own[:, None]).sum(), leaf)
    return gradient.unflatten(0, (count, len(points)))


WAYS: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
    "loop with retain_graph": loop,
    "the same, thin convolutions": thin_loop,
    "is_grads_batched": batched,
    "vmap of vjp": vmap_of_vjp,
    "jacrev": jacrev,
    "batch repeated per class": repeated,
}

"""Expected gradient length (Settles and Craven 2008; for neural networks Zhang, Lease, Wallace, arXiv:1606.04212, and
Huang and others, arXiv:1612.03226): how far an image's label, whichever it turns out to be, would move the weights.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.func import vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from dfal_cli.errors import UsageError
from dfal_cli.measures.layers import UnsuitedError, squared_lengths, traced
from dfal_cli.measures.measure import Compute, Settings, evaluating
from dfal_cli.measures.stand_ins import standing_in
from dfal_cli.system.device import is_out_of_memory

Way = Callable[[nn.Module, Tensor], Tensor]
"""One of several that compute the same: images (B, C, H, W) -> (B,)."""

TRIED_ON = 2
AGREEMENT = 1e-4
"""The first images are measured in the slow way that is always right. A faster one is taken if it gives the same; of
images without a gradient every way says the same, and they decide nothing."""

VALUES_AT_ONCE = 2**25
"""Gradients held in memory at a time: 128 MB."""


def egl(model: nn.Module, settings: Settings) -> Compute:
    """Sum over the classes y of p(y) |d(cross-entropy with label y) / d(trainable weights)|, exact for each image.

    That gradient is the logits' Jacobian times p - e_y, so each class is one backward pass of the whole batch. On
    1,000 MNIST images and LeNet5 `layer_by_layer` takes 14 times a plain forward pass, `vmapped` 210, `one_by_one` 390.

    Raises UsageError if no weight is trainable.
    """
    if not any(weight.requires_grad for weight in model.parameters()):
        raise UsageError(
            f"--measure egl: all weights of {settings.architecture} are frozen, and it is how far a label would move "
            "them; leave requires_grad on where the network is built, or take another measure"
        )
    chosen: list[Way] = []

    def compute(images: Tensor) -> Tensor:
        with evaluating(model), torch.inference_mode(False), torch.enable_grad():
            if not chosen:
                certain = one_by_one(model, images[:TRIED_ON])
                if not (certain > 0).any():
                    return one_by_one(model, images)
                chosen.append(_fastest_way(model, images[:TRIED_ON], certain, settings))
            try:
                return chosen[0](model, images)
            except UnsuitedError:  # these images take other turns than the first ones
                return one_by_one(model, images)

    return compute


def _fastest_way(model: nn.Module, images: Tensor, certain: Tensor, settings: Settings) -> Way:
    """Whatever a network does with its weights that a fast way does not foresee shows on the images."""
    for way in (layer_by_layer, vmapped):
        try:
            if torch.allclose(way(model, images), certain, rtol=AGREEMENT, atol=0, equal_nan=True):
                return way
        except Exception as error:  # of whatever kind: then this way does not suit the network
            if is_out_of_memory(error):
                raise
    settings.warn(f"--measure egl: {settings.architecture} has to be differentiated image by image, which is slow")
    return one_by_one


def _probabilities(logits: Tensor) -> Tensor:
    """p (B, K), in float64: of a certain image 1 - p is all that counts, and float32 would round it away."""
    return logits.detach().double().softmax(1)


def _error(p: Tensor, label: int, like: Tensor) -> Tensor:
    """The gradient to the logits, (B, K), of the cross-entropy with that label: p - e_label."""
    error = p.clone()
    error[:, label] -= 1
    return error.to(like.dtype)


def one_by_one(model: nn.Module, images: Tensor) -> Tensor:
    """Plainly: a backward pass for each class of each image. It is right for any network."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    expected = []
    for image in images:
        logits = model(image[None].clone())  # its first layer may work in place
        p = _probabilities(logits)
        lengths = [_length_of_gradient(logits, weights, _error(p, label, logits)) for label in range(p.shape[1])]
        expected.append((p[0] * torch.stack(lengths)).sum())
    return torch.stack(expected)


def _length_of_gradient(logits: Tensor, weights: list[nn.Parameter], error: Tensor) -> Tensor:
    if not logits.requires_grad:  # something is detached: no label moves a weight
        return error.new_zeros(())
    gradient = torch.autograd.grad(logits, weights, error, retain_graph=True, allow_unused=True)
    reached = [own for own in gradient if own is not None]
    return _length(reached) if reached else error.new_zeros(())


def _length(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack([part.square().sum() for part in parts]).sum().sqrt()


def vmapped(model: nn.Module, images: Tensor) -> Tensor:
    """The gradients of several images and classes at once, as many as fit: for networks that vmap can follow."""
    weights = {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}
    size = sum(weight.numel() for weight in weights.values())

    def of_image(image: Tensor, p: Tensor) -> Tensor:
        def logits_of(weights: dict[str, Tensor]) -> Tensor:
            with standing_in(model, weights):
                own_logits: Tensor = model(image[None].clone())  # its first layer may work in place
                return own_logits[0]

        traced_to_weights = vjp(logits_of, weights)
        logits, backward = traced_to_weights[0], traced_to_weights[1]
        errors = (p - torch.eye(len(p), dtype=p.dtype, device=p.device)).to(logits.dtype)  # (K, K), a row a label
        lengths = vmap(lambda error: _length(backward(error)[0].values()), chunk_size=max(1, VALUES_AT_ONCE // size))
        return (p * lengths(errors)).sum()

    with torch.no_grad():
        p = _probabilities(model(images.clone()))
    with sdpa_kernel(SDPBackend.MATH):  # vmap cannot follow the others
        expected: Tensor = vmap(of_image, chunk_size=max(1, VALUES_AT_ONCE // (size * p.shape[1])))(images, p)
    return expected


def layer_by_layer(model: nn.Module, images: Tensor) -> Tensor:
    """From what goes into each layer and the gradients to what comes out of it: no gradient of a weight is needed.

    For networks all of whose weights belong to layers that are called once, with one tensor, the images first in it.
    Raises UnsuitedError where it sees that a network is another one.
    """
    logits, calls = traced(model, images.clone())
    p = _probabilities(logits)
    squares_of = [squared_lengths(call) for call in calls]
    expected = torch.zeros_like(p[:, 0])
    for label in range(p.shape[1]):
        towards = _error(p, label, logits)
        gradients = torch.autograd.grad(logits, [call.output for call in calls], towards, retain_graph=True)
        squares = [of(gradient) for of, gradient in zip(squares_of, gradients, strict=True)]
        expected += p[:, label] * torch.stack(squares).sum(0).sqrt()
    return expected

"""Expected gradient length (Settles and Craven 2008; for neural networks Zhang, Lease, Wallace, arXiv:1606.04212, and
Huang and others, arXiv:1612.03226): how much training on an image is expected to change the weights.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.func import vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from dfal_cli.errors import UsageError
from dfal_cli.measures.layers import UnsuitedError, replaced_weights, squared_lengths, traced
from dfal_cli.measures.measure import Compute, Settings, evaluating
from dfal_cli.system.device import is_out_of_memory

Method = Callable[[nn.Module, Tensor], Tensor]
"""An implementation of the measure: images (B, C, H, W) -> (B,)."""

TEST_IMAGES = 2
RELATIVE_TOLERANCE = 1e-4
"""The slow method, which is always correct, computes the first images. A faster method is used if it agrees on them.
Images without a gradient are not used for this test, as all methods agree on them."""

MAX_GRADIENT_VALUES = 2**25
"""Number of gradient values held in memory at a time: 128 MB."""


def egl(model: nn.Module, settings: Settings) -> Compute:
    """Sum over the classes y of p(y) |d(cross-entropy with label y) / d(trainable weights)|, exact for each image.

    The gradient is the transposed Jacobian of the logits times p - e_y, so each class takes one backward pass of the
    whole batch. On 1,000 MNIST images with LeNet5, `layer_by_layer` takes 14 times as long as a forward pass,
    `vmapped` 210 times and `one_by_one` 390 times.

    Raises UsageError if no weight is trainable.
    """
    if not any(weight.requires_grad for weight in model.parameters()):
        raise UsageError(
            f"--measure egl: all weights of {settings.architecture} are frozen, so they have no gradient; "
            "set requires_grad where the network is built, or use another measure"
        )
    chosen: list[Method] = []

    def compute(images: Tensor) -> Tensor:
        with evaluating(model), torch.inference_mode(False), torch.enable_grad():
            if not chosen:
                expected = one_by_one(model, images[:TEST_IMAGES])
                if not (expected > 0).any():
                    return one_by_one(model, images)
                chosen.append(_fastest_method(model, images[:TEST_IMAGES], expected, settings))
            try:
                return chosen[0](model, images)
            except UnsuitedError:  # the network takes other branches for these images than for the first ones
                return one_by_one(model, images)

    return compute


def _fastest_method(model: nn.Module, images: Tensor, expected: Tensor, settings: Settings) -> Method:
    """Return the fastest method that gives the expected values, (B,), for the images."""
    for method in (layer_by_layer, vmapped):
        try:
            if torch.allclose(method(model, images), expected, rtol=RELATIVE_TOLERANCE, atol=0, equal_nan=True):
                return method
        except Exception as error:  # any error means that the method does not suit the network
            if is_out_of_memory(error):
                raise
    settings.warn(f"--measure egl: {settings.architecture} has to be differentiated image by image, which is slow")
    return one_by_one


def _probabilities(logits: Tensor) -> Tensor:
    """Return p (B, K) in float64: for a confident prediction only 1 - p matters, which float32 would round away."""
    return logits.detach().double().softmax(1)


def _error(p: Tensor, label: int, like: Tensor) -> Tensor:
    """Return p - e_label, (B, K): the gradient of the cross-entropy with that label with respect to the logits."""
    error = p.clone()
    error[:, label] -= 1
    return error.to(like.dtype)


def one_by_one(model: nn.Module, images: Tensor) -> Tensor:
    """Compute the measure with one backward pass per image and class, which is correct for any network."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    expected = []
    for image in images:
        logits = model(image[None].clone())  # a copy: the first layer may work in place
        p = _probabilities(logits)
        lengths = [_length_of_gradient(logits, weights, _error(p, label, logits)) for label in range(p.shape[1])]
        expected.append((p[0] * torch.stack(lengths)).sum())
    return torch.stack(expected)


def _length_of_gradient(logits: Tensor, weights: list[nn.Parameter], error: Tensor) -> Tensor:
    if not logits.requires_grad:  # the logits are detached from the weights
        return error.new_zeros(())
    gradient = torch.autograd.grad(logits, weights, error, retain_graph=True, allow_unused=True)
    reached = [own for own in gradient if own is not None]
    return _length(reached) if reached else error.new_zeros(())


def _length(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack([part.square().sum() for part in parts]).sum().sqrt()


def vmapped(model: nn.Module, images: Tensor) -> Tensor:
    """Compute the gradients of several images and classes at once, for networks that vmap supports."""
    weights = {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}
    size = sum(weight.numel() for weight in weights.values())

    def of_image(image: Tensor, p: Tensor) -> Tensor:
        def logits_of(weights: dict[str, Tensor]) -> Tensor:
            with replaced_weights(model, weights):
                own_logits: Tensor = model(image[None].clone())  # a copy: the first layer may work in place
                return own_logits[0]

        traced_to_weights = vjp(logits_of, weights)
        logits, backward = traced_to_weights[0], traced_to_weights[1]
        errors = (p - torch.eye(len(p), dtype=p.dtype, device=p.device)).to(logits.dtype)  # (K, K), a row per label
        lengths = vmap(
            lambda error: _length(backward(error)[0].values()), chunk_size=max(1, MAX_GRADIENT_VALUES // size)
        )
        return (p * lengths(errors)).sum()

    with torch.no_grad():
        p = _probabilities(model(images.clone()))
    with sdpa_kernel(SDPBackend.MATH):  # the only attention kernel that vmap supports
        expected: Tensor = vmap(of_image, chunk_size=max(1, MAX_GRADIENT_VALUES // (size * p.shape[1])))(images, p)
    return expected


def layer_by_layer(model: nn.Module, images: Tensor) -> Tensor:
    """Compute the measure from each layer's input and output gradient, without any gradient of a weight.

    This requires that every layer with weights is called once, with one tensor whose first dimension is the batch.
    Raises UnsuitedError if the network is found not to fulfil this.
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

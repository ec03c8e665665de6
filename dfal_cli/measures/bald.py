"""BALD (Houlsby, Huszar, Ghahramani, Lengyel, arXiv:1112.5745) by Monte Carlo dropout (Gal, Islam, Ghahramani,
arXiv:1703.02910): how much information the label of an image would give about the weights.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from dfal_cli.errors import UsageError
from dfal_cli.measures.measure import Compute, Settings, evaluating
from dfal_cli.system.device import on_device

ChannelDropout = nn.Dropout1d | nn.Dropout2d | nn.Dropout3d
Dropout = nn.Dropout | ChannelDropout
"""The layers that sample networks. AlphaDropout and functional dropout are not supported."""


def bald(model: nn.Module, settings: Settings) -> Compute:
    """Mutual information of label and weights, in nats: H(mean of p) - mean of H(p) over the sampled networks.

    Each pass is one sampled network. All images of the pool share its masks, which come from a generator of their own,
    so results do not depend on the batch size or on other images in the batch.

    Raises UsageError if the network has no dropout layers, or, during computation, if it calls none of them.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, Dropout) and layer.p > 0]
    if not layers:
        raise UsageError(
            f"--measure bald: {settings.architecture} has no dropout layers to sample networks with; "
            "use --arch lenet5, vgg8, or your own network with nn.Dropout"
        )

    def compute(images: Tensor) -> Tensor:
        passes = []
        with evaluating(model), torch.no_grad():
            for number in range(settings.passes):
                with _dropping(layers, _generator(settings.seed, number)) as called:
                    logits: Tensor = model(images.clone())  # a copy: the first layer may work in place
                if not called:
                    raise UsageError(
                        f"--measure bald: {settings.architecture} calls none of its dropout layers, so that no "
                        "networks are sampled; call them in its forward method, or use another measure"
                    )
                # float64, since the disagreement of the networks may be far less than 1
                passes.append(logits.double().log_softmax(1))
        return mutual_information(torch.stack(passes))

    return compute


def mutual_information(log_p: Tensor) -> Tensor:
    """Return the mutual information (B,) from log-probabilities (T, B, K) of T networks.

    It is computed as the mean KL divergence from the mean prediction, which equals the difference of entropies but
    has only positive terms, so nothing cancels. Terms with p = 0, where p log p would be nan, are 0.
    """
    log_mean = log_p.logsumexp(0) - math.log(len(log_p))
    p = log_p.exp()
    return (p * (log_p - log_mean)).where(p != 0, 0.0).sum(2).mean(0).clamp(min=0)


def _generator(seed: int, number: int) -> torch.Generator:
    """Return the generator of the masks of a pass."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))


@contextlib.contextmanager
def _dropping(layers: Sequence[Dropout], generator: torch.Generator) -> Iterator[set[Dropout]]:
    """Apply dropout with the generator's masks to the output of the layers, which are in eval mode, in the block.

    Every batch gets the same masks, as the layers are called in the same order. The yielded set receives the layers
    that were called.
    """
    called: set[Dropout] = set()

    def drop(layer: Dropout, _input: object, output: Tensor) -> Tensor:
        called.add(layer)
        return output * _mask(layer, output, generator)

    hooks = [layer.register_forward_hook(drop) for layer in layers]
    try:
        yield called
    finally:
        for hook in hooks:
            hook.remove()


def _mask(layer: Dropout, output: Tensor, generator: torch.Generator) -> Tensor:
    """Return one mask for all images, (1, *features): 0 or 1 / (1 - p). It is drawn on the CPU for any device."""
    features = output.shape[1:]
    if isinstance(layer, ChannelDropout):
        features = torch.Size([features[0], *[1] * (len(features) - 1)])
    keep = torch.rand(1, *features, generator=generator) >= layer.p
    keep_probability = 1 - layer.p if layer.p < 1 else 1.0  # with p = 1 all values are dropped
    return on_device(keep, output.device).to(output.dtype) / keep_probability

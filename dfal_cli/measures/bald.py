"""BALD (Houlsby, Huszar, Ghahramani, Lengyel, arXiv:1112.5745) by Monte Carlo dropout (Gal, Islam, Ghahramani,
arXiv:1703.02910): how much an image's label would tell of which weights are the right ones.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from dfal_cli.errors import UsageError
from dfal_cli.measures.measure import Compute, Settings, evaluating

ChannelDropout = nn.Dropout1d | nn.Dropout2d | nn.Dropout3d
Dropout = nn.Dropout | ChannelDropout
"""The layers that sample a network. AlphaDropout does not, nor does dropout that a network calls as a function."""


def bald(model: nn.Module, settings: Settings) -> Compute:
    """Mutual information of label and weights, in nats: H(mean of p) - mean of H(p) over the networks sampled.

    A pass is one sampled network, and the whole pool looks at the same ones: its masks come from a generator of their
    own, and all images share them. So neither batch size nor batch mates change what an image gets.

    Raises UsageError if the network has no dropout layers; when it computes, if the network calls none of them.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, Dropout) and layer.p > 0]
    if not layers:
        raise UsageError(
            f"--measure bald: {settings.architecture} has no dropout layers to sample networks with; "
            "take --arch lenet5 or vgg8, or one of your own with nn.Dropout"
        )

    def compute(images: Tensor) -> Tensor:
        passes = []
        with evaluating(model), torch.no_grad():
            for number in range(settings.passes):
                with _dropping(layers, _generator(settings.seed, number)) as called:
                    logits: Tensor = model(images.clone())  # its first layer may work in place
                if not called:
                    raise UsageError(
                        f"--measure bald: {settings.architecture} calls none of its dropout layers, and so they sample "
                        "no networks; call them in its forward, or take another measure"
                    )
                # In float64: what the networks disagree by may be far less than 1.
                passes.append(logits.double().log_softmax(1))
        return mutual_information(torch.stack(passes))

    return compute


def mutual_information(log_p: Tensor) -> Tensor:
    """(B,) from log-probabilities (T, B, K) of T networks.

    As the mean divergence of a network from their mean, which is the same as the difference of entropies: each term is
    positive, and nothing cancels. Where p = 0 a naive p log p is nan.
    """
    log_mean = log_p.logsumexp(0) - math.log(len(log_p))
    p = log_p.exp()
    return (p * (log_p - log_mean)).where(p != 0, 0.0).sum(2).mean(0).clamp(min=0)


def _generator(seed: int, number: int) -> torch.Generator:
    """What the masks of that pass are drawn from."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))


@contextlib.contextmanager
def _dropping(layers: Sequence[Dropout], generator: torch.Generator) -> Iterator[set[Dropout]]:
    """In the block each call of one of the layers, which are in eval mode, drops what the generator says.

    A batch draws what the one before it has drawn, as its layers are called in the same order. The set is filled with
    the layers that were called.
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
    """One mask for all images, (1, *features): 0, or what makes up for the others. Drawn on the CPU for any device."""
    features = output.shape[1:]
    if isinstance(layer, ChannelDropout):
        features = torch.Size([features[0], *[1] * (len(features) - 1)])
    kept = torch.rand(1, *features, generator=generator) >= layer.p
    kept_part = 1 - layer.p if layer.p < 1 else 1.0  # of nothing kept there is nothing to make up
    return kept.to(output.device, output.dtype) / kept_part

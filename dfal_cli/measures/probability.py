"""Measures of the predicted probabilities, which need only one forward pass."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dfal_cli.measures.measure import Compute, Settings, evaluating


class Probabilities(NamedTuple):
    """Predictions for B images and the three measures of uncertainty sampling; nan if the logits are not finite.

    Source: Settles, Active Learning Literature Survey, 2009, section 3.1.
    """

    predicted: Tensor
    """(B,) int: the most probable class."""
    confidence: Tensor
    """(B,): the probability of the predicted class (least confidence: Culotta and McCallum 2005)."""
    probability_gap: Tensor
    """(B,): top-1 minus top-2 probability, also called margin (Scheffer, Decomain and Wrobel 2001)."""
    entropy: Tensor
    """(B,): entropy in nats (Shannon 1948)."""


def probabilities(logits: Tensor) -> Probabilities:
    """Compute the measures from logits, (B, K) with K >= 2.

    Entropy is computed from log-probabilities, with 0 for terms with p = 0: p log p would be nan for certain images.
    """
    log_p = logits.log_softmax(1)  # (B, K)
    p = log_p.exp()
    top = p.topk(2, dim=1).values  # (B, 2)
    entropy = -(p * log_p).where(p != 0, 0.0).sum(1)
    return Probabilities(logits.argmax(1), top[:, 0], top[:, 0] - top[:, 1], entropy)


def softmax(model: nn.Module, settings: Settings) -> Compute:
    """Probability of each class, (B, K), in the order of the classes."""

    def compute(images: Tensor) -> Tensor:
        with evaluating(model), torch.no_grad():
            logits: Tensor = model(images.clone())  # a copy: the first layer may work in place
        return logits.softmax(1)

    return compute

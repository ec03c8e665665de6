"""How right margins are: verified by the network alone, compared with a reference. No margin is nan."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn


def verified_lengths(model: nn.Module, parts: Sequence[Tensor], adversarial: Sequence[Tensor]) -> np.ndarray:
    """L2 norm of (adversarial - image) where the network's prediction differs, nan elsewhere: (N,).

    parts, adversarial: batches (B, C, H, W). What a method claims of its points is not asked.
    """
    lengths = []
    with torch.no_grad():
        for images, points in zip(parts, adversarial, strict=True):
            logits = model(points)
            crossed = (logits.argmax(1) != model(images).argmax(1)) & logits.isfinite().all(1)
            lengths.append((points - images).double().flatten(1).norm(dim=1).where(crossed, torch.nan))
    return torch.cat(lengths).cpu().numpy()


def median_excess(margins: np.ndarray, reference: np.ndarray) -> float:
    """Median of margin / reference - 1, of those that are there."""
    return float(np.nanmedian(margins / reference)) - 1


def spearman(margins: np.ndarray, reference: np.ndarray) -> float:
    """Correlation of ranks (ties share theirs); a missing margin counts as longer than any."""
    ours, theirs = (pd.Series(_missing_last(values)).rank() for values in (margins, reference))
    return float(ours.corr(theirs))


def overlap(margins: np.ndarray, reference: np.ndarray, share: float) -> float:
    """How much of the smallest `share` (at least one image) is the reference's smallest."""
    count = max(1, round(share * len(margins)))
    ours, theirs = (set(np.argsort(_missing_last(values), kind="stable")[:count]) for values in (margins, reference))
    return len(ours & theirs) / count


def _missing_last(margins: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(margins), margins, np.inf)

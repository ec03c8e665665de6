"""Which of the labelled images are split off to validate on."""

import torch
from torch import Tensor

SMALLEST_SPLIT = 10


def split_images(labels: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Choose a random `fraction` of the images for validation, of each class its share: (N,) -> (N,) bool.

    The last training image of a class is never chosen. Where the fraction makes fewer than SMALLEST_SPLIT none is: so
    few say nothing about when to stop, and training needs them more.
    """
    wanted = int(len(labels) * fraction)
    quotas = _quotas(labels.bincount().tolist(), wanted if wanted >= SMALLEST_SPLIT else 0)
    validation = torch.zeros(len(labels), dtype=torch.bool)
    for image in torch.randperm(len(labels), generator=generator).tolist():
        label = int(labels[image])
        if quotas[label]:
            validation[image] = True
            quotas[label] -= 1
    return validation


def _quotas(counts: list[int], wanted: int) -> list[int]:
    """So many of each class, by the largest remainder, as far as one is left of each. counts: images of each class."""
    shares = [count * wanted / sum(counts) for count in counts]
    most = [max(0, count - 1) for count in counts]
    quotas = [min(int(share), limit) for share, limit in zip(shares, most, strict=True)]
    for _ in range(min(wanted, sum(most)) - sum(quotas)):
        open_ones = [label for label, limit in enumerate(most) if quotas[label] < limit]
        quotas[max(open_ones, key=lambda label: shares[label] - quotas[label])] += 1
    return quotas

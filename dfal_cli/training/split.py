"""Which of the labelled images are split off to validate on."""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

SMALLEST_SPLIT = 10


def split_images(labels: Tensor, pictures: Sequence[str], fraction: float, generator: torch.Generator) -> Tensor:
    """Choose a random `fraction` of the images for validation, of each class its share: (N,) -> (N,) bool.

    pictures: what tells equal images, "" of one that equals none. Equal ones are chosen together or not at all: a
    network that knows one by heart is right on the other. The shares are kept as far as that allows.
    The last training image of a class is never chosen. Where the fraction makes fewer than SMALLEST_SPLIT none is: so
    few say nothing about when to stop, and training needs them more.
    """
    wanted = int(len(labels) * fraction)
    counts = labels.bincount().tolist()
    quotas = _quotas(counts, wanted if wanted >= SMALLEST_SPLIT else 0)
    left, room = counts, sum(quotas)
    validation = torch.zeros(len(labels), dtype=torch.bool)
    for images in _equal_ones_together(torch.randperm(len(labels), generator=generator).tolist(), pictures):
        taken = Counter(labels[images].tolist())
        if len(images) <= room and all(quotas[label] > 0 and count < left[label] for label, count in taken.items()):
            validation[images] = True
            room -= len(images)
            for label, count in taken.items():
                quotas[label] -= count
                left[label] -= count
    return validation


def _equal_ones_together(images: Iterable[int], pictures: Sequence[str]) -> Iterable[list[int]]:
    groups: dict[str | int, list[int]] = {}
    for image in images:
        groups.setdefault(pictures[image] or image, []).append(image)
    return groups.values()


def _quotas(counts: list[int], wanted: int) -> list[int]:
    """So many of each class, by the largest remainder, as far as one is left of each. counts: images of each class."""
    shares = [count * wanted / sum(counts) for count in counts]
    most = [max(0, count - 1) for count in counts]
    quotas = [min(int(share), limit) for share, limit in zip(shares, most, strict=True)]
    for _ in range(min(wanted, sum(most)) - sum(quotas)):
        open_ones = [label for label, limit in enumerate(most) if quotas[label] < limit]
        quotas[max(open_ones, key=lambda label: shares[label] - quotas[label])] += 1
    return quotas

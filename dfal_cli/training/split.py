"""The validation split of the labelled images."""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

SMALLEST_SPLIT = 10


def split_images(labels: Tensor, content_hashes: Sequence[str], fraction: float, generator: torch.Generator) -> Tensor:
    """Choose a random, stratified `fraction` of the images for validation: labels (N,) -> (N,) bool.

    content_hashes: one per image, "" if unknown. Duplicates are chosen together or not at all, because a network that
    has memorised one is right on the other; the class shares are kept as far as that allows.
    The last training image of a class is never chosen. A split of fewer than SMALLEST_SPLIT images is not made: it says
    too little about when to stop, and training needs its images more.
    """
    wanted = int(len(labels) * fraction)
    counts = labels.bincount().tolist()
    quotas = _quotas(counts, wanted if wanted >= SMALLEST_SPLIT else 0)
    left, room = counts, sum(quotas)
    validation = torch.zeros(len(labels), dtype=torch.bool)
    for images in _duplicates_grouped(torch.randperm(len(labels), generator=generator).tolist(), content_hashes):
        classes = Counter(labels[images].tolist())
        if len(images) <= room and all(quotas[label] > 0 and count < left[label] for label, count in classes.items()):
            validation[images] = True
            room -= len(images)
            for label, count in classes.items():
                quotas[label] -= count
                left[label] -= count
    return validation


def _duplicates_grouped(images: Iterable[int], content_hashes: Sequence[str]) -> Iterable[list[int]]:
    groups: dict[str | int, list[int]] = {}
    for image in images:
        groups.setdefault(content_hashes[image] or image, []).append(image)
    return groups.values()


def _quotas(counts: list[int], wanted: int) -> list[int]:
    """Distribute `wanted` validation images over classes with these counts, by the largest remainder method.

    At least one image of each class is left for training.
    """
    shares = [count * wanted / sum(counts) for count in counts]
    limits = [max(0, count - 1) for count in counts]
    quotas = [min(int(share), limit) for share, limit in zip(shares, limits, strict=True)]
    for _ in range(min(wanted, sum(limits)) - sum(quotas)):
        below_limit = [label for label, limit in enumerate(limits) if quotas[label] < limit]
        quotas[max(below_limit, key=lambda label: shares[label] - quotas[label])] += 1
    return quotas

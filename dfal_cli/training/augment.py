"""Augmentations for training, by name; none by default, as in the paper."""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2

Augmentation = Callable[[Tensor], Tensor]

AUGMENTATIONS: dict[str, Augmentation] = {
    "none": lambda image: image,
    # What does not change a digit, a sketch or a symbol: a little place, angle and size.
    "shift": v2.RandomAffine(degrees=10, translate=(0.1, 0.1), scale=(0.9, 1.1)),
    "flip": v2.RandomHorizontalFlip(),
    # Photographs: where the camera stood and what the light was.
    "photo": v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(degrees=10, translate=(0.1, 0.1), scale=(0.8, 1.2)),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        ]
    ),
}


def augmented(images: Tensor, name: str) -> Tensor:
    """Transform each image, (B, C, H, W) float, on its own: a whole batch at once would get one and the same draw."""
    if name == "none":
        return images
    return torch.stack([AUGMENTATIONS[name](image) for image in images])

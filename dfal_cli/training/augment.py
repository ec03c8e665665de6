"""Image augmentations for training, by name. The paper uses none."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchvision.transforms import v2

from dfal_cli.models.seeding import seeded_draws

Augmentation = Callable[[Tensor], Tensor]

AUGMENTATIONS: dict[str, Augmentation] = {
    "none": lambda image: image,
    # Small shifts, rotations and scalings leave a digit, a sketch or a symbol what it is.
    "shift": v2.RandomAffine(degrees=10, translate=(0.1, 0.1), scale=(0.9, 1.1)),
    "flip": v2.RandomHorizontalFlip(),
    # Photographs also vary in viewpoint and lighting.
    "photo": v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(degrees=10, translate=(0.1, 0.1), scale=(0.8, 1.2)),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        ]
    ),
}


def augmented(images: Tensor, name: str, seeds: Sequence[int]) -> Tensor:
    """Apply the named augmentation to each image of a batch, (B, C, H, W) float, drawn by a seed of its own.

    The images are transformed one by one: v2 transforms draw once per call, which would be once per batch.
    """
    if name == "none":
        return images
    with seeded_draws() as seed_next:
        return torch.stack([AUGMENTATIONS[name](image) for image, _ in zip(images, map(seed_next, seeds), strict=True)])

"""VGG8 with the layers of the DFAL authors (arXiv:1802.09841); 6,641,930 parameters on MNIST."""

from torch import nn

from dfal_cli.models.initialise import glorot_

BLOCKS = ((64,), (128,), (256, 256), (512, 512))
"""Output channels of the 3x3 convolutions between two poolings."""


def vgg8(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """Build VGG8 for images of shape (C, H, W), sides of 16 pixels or more; logits (B, num_classes)."""
    channels, height, width = input_shape
    layers: list[nn.Module] = []
    for block in BLOCKS:
        for out_channels in block:
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU()]
            channels = out_channels
        layers += [nn.MaxPool2d(2), nn.Dropout(0.25)]
    halvings = 2 ** len(BLOCKS)
    flat = channels * (height // halvings) * (width // halvings)
    dense = [nn.Flatten(), nn.Linear(flat, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, num_classes)]
    return glorot_(nn.Sequential(*layers, *dense))

"""The networks of the DFAL paper (Ducoffe and Precioso, arXiv:1802.09841), with the layers of its authors' code."""

from torch import nn

VGG8_BLOCKS = ((64,), (128,), (256, 256), (512, 512))
"""Output channels of the 3x3 convolutions of VGG8; each block ends with a pooling layer."""


def lenet5(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """Build LeNet5 for images (C, H, W) with sides of at least 16; logits (B, num_classes).

    It has 166,936 parameters on MNIST.
    """
    channels, height, width = input_shape
    sides = [((side - 4) // 2 - 4) // 2 for side in (height, width)]  # two 5x5 convolutions, each followed by pooling
    return _glorot_(
        nn.Sequential(
            nn.Conv2d(channels, 6, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
            nn.Conv2d(16, 120, 1),
            nn.Flatten(),
            nn.Linear(120 * sides[0] * sides[1], 84),
            nn.ReLU(),
            nn.Linear(84, num_classes),
            nn.Dropout(0.5),
            nn.Linear(num_classes, num_classes),
        )
    )


def vgg8(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """Build VGG8 for images (C, H, W) with sides of at least 16; logits (B, num_classes).

    It has 6,641,930 parameters on MNIST.
    """
    channels, height, width = input_shape
    layers: list[nn.Module] = []
    for block in VGG8_BLOCKS:
        for out_channels in block:
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU()]
            channels = out_channels
        layers += [nn.MaxPool2d(2), nn.Dropout(0.25)]
    halvings = 2 ** len(VGG8_BLOCKS)
    flat = channels * (height // halvings) * (width // halvings)
    dense = [nn.Flatten(), nn.Linear(flat, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, num_classes)]
    return _glorot_(nn.Sequential(*layers, *dense))


def _glorot_(model: nn.Module) -> nn.Module:
    """Initialise weights Glorot-uniform and biases with zeros, in place."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.numel():
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model

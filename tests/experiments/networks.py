"""The network of Gissin and Shalev-Shwartz (arXiv:1907.06347), whose numbers on MNIST are the ones to compare with."""

from torch import nn


def gissin(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """Two 3x3 convolutions, 32 and 64 channels, each with a 2x2 pool, and 128 units; Glorot weights, zero biases."""
    channels, height, width = input_shape
    size = ((height - 2) // 2 - 2) // 2 * (((width - 2) // 2 - 2) // 2)
    network = nn.Sequential(
        nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * size, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, num_classes),
    )  # fmt: skip
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return network

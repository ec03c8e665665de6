"""LeNet5 with the layers of the DFAL authors (arXiv:1802.09841); 166,936 parameters on MNIST."""

from torch import nn

from dfal_cli.models.initialise import glorot_


def lenet5(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """Build LeNet5 for images of shape (C, H, W), sides of 16 pixels or more; logits (B, num_classes)."""
    channels, height, width = input_shape
    sides = [((side - 4) // 2 - 4) // 2 for side in (height, width)]  # after two 5x5 convolutions, each pooled by 2
    return glorot_(
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

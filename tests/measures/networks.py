"""Networks to measure with, their weights from a seed, and images for them."""

import torch
from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.vision_transformer import VisionTransformer

from dfal_cli.measures import MEASURES, Settings
from dfal_cli.models import build_network, seeded

SETTINGS = Settings("a-network", passes=5, seed=3, warn=lambda text: None)


def network(architecture, side, channels=3, classes=4):
    """A network of dfal's, in eval mode, with batch statistics and biases that are not those of a fresh one."""
    with seeded(0, torch.device("cpu")):
        model = build_network(architecture, classes, (channels, side, side))
    return unsettle(model).eval()


def unsettle(model):
    """Give the model's biases, scales and running statistics values that matter."""
    generator = torch.Generator().manual_seed(1)
    for name, values in (*model.named_parameters(), *model.named_buffers()):
        if values.is_floating_point() and values.dim() == 1:
            noise = torch.rand(values.shape, generator=generator)
            values.data = 0.5 + noise if "var" in name or "weight" in name else noise - 0.5
    return model


def lenet5():
    return network("lenet5", 28, channels=1)


def with_batch_norm():
    """Grouped, dilated and strided convolutions, two kinds of normalisation and of dropout, and work in place."""
    with seeded(0, torch.device("cpu")):
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout2d(0.3),
            nn.Conv2d(4, 8, 3, groups=2, dilation=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(800, 6), nn.LayerNorm(6), nn.Linear(6, 4),
        )  # fmt: skip
    return unsettle(model).eval()


def small_vit():
    """Torchvision's, but for its size."""
    with seeded(0, torch.device("cpu")):
        model = VisionTransformer(32, 16, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=4)
    return unsettle(model).eval()


def small_convnext():
    """Torchvision's, but for its size."""
    with seeded(0, torch.device("cpu")):
        model = ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 2)], num_classes=4)
    return unsettle(model).eval()


def images_for(channels=1, side=28, count=6):
    """(count, C, H, W) in [0, 1]."""
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(2))


def measured(name, model, images, settings=SETTINGS):
    """What the measure says of the images."""
    return MEASURES[name].prepare(model, settings)(images)

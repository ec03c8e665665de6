"""A network made of a frozen backbone and a head on its embeddings."""

import torch.nn.functional as F
from torch import Tensor, nn

from dfal_cli.models.normalised import Network, Normalisation


class HeadedBackbone(nn.Module):
    """Images in [0, 1] -> embeddings, scaled to unit length -> logits. Its tensors have the names of `head_file`."""

    def __init__(self, backbone: Network, num_classes: int, dimension: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(dimension, num_classes)

    def train(self, mode: bool = True) -> "HeadedBackbone":
        """Set the mode. Batch normalisation keeps its statistics: those of a few images are worse than ImageNet's."""
        super().train(mode)
        for module in self.backbone.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) to logits (B, K)."""
        logits: Tensor = self.head(F.normalize(self.backbone(images), dim=1))
        return logits


def headed_network(backbone: Network, num_classes: int, dimension: int) -> Network:
    """Return a network whose head has random weights; the normalisation is that of the backbone."""
    return Network(HeadedBackbone(backbone, num_classes, dimension), Normalisation())

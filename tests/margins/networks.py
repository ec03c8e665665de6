"""Small networks whose margins are known, or easily compared."""

import torch
from torch import Tensor, nn

SHAPE = (3, 4, 5)


def random_images(count: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def fill(model: nn.Module, seed: int) -> nn.Module:
    """Draw all weights anew from a generator of our own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            fan_in = max(1, parameter[0].numel()) if parameter.dim() > 1 else 4
            values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(values * (2 / fan_in) ** 0.5)
    return model


def linear_network(classes: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    return fill(nn.Sequential(nn.Flatten(), nn.Linear(60, classes)), seed).to(dtype)


def linear_margins(model: nn.Sequential, images: Tensor, norm: str) -> Tensor:
    """min_k |f_k - f_p| / ||w_k - w_p||_q, in float64."""
    weight, bias = model[1].weight.detach().double(), model[1].bias.detach().double()
    logits = images.double().flatten(1) @ weight.T + bias
    predicted = logits.argmax(1)
    differences = weight[None] - weight[predicted][:, None]  # (B, K, D)
    lengths = torch.linalg.vector_norm(differences, ord={"l2": 2, "linf": 1}[norm], dim=2)
    gaps = logits.amax(1, keepdim=True) - logits
    return (gaps / lengths).scatter(1, predicted[:, None], torch.inf).amin(1)


def convolutional_network(classes: int = 5, seed: int = 1, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(36, 16),
        nn.ReLU(),
        nn.Linear(16, classes),
    )
    return fill(model, seed).to(dtype).eval()


class Then(nn.Module):
    """A model whose images or logits are changed by a function."""

    def __init__(self, model: nn.Module, *, before=lambda images: images, after=lambda logits: logits) -> None:
        super().__init__()
        self.model, self.before, self.after = model, before, after

    def forward(self, images: Tensor) -> Tensor:
        return self.after(self.model(self.before(images)))

"""What a margin estimator returns."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn


class Crossing(NamedTuple):
    """The nearest points found on the other side of the decision boundary, for a batch of B images."""

    adversarial: Tensor
    """(B, C, H, W): the last point tried, in the images' dtype."""
    margin: Tensor
    """(B,): norm of (adversarial - image), overshoot included; nan where not crossed."""
    crossed: Tensor
    """(B,) bool: the prediction changed within the iteration cap."""
    crossing_class: Tensor
    """(B,) int: the class on the other side; -1 where not crossed."""
    iterations: Tensor
    """(B,) int: steps taken."""


class Estimator(Protocol):
    """A margin estimator; its settings are those of the command line."""

    def __call__(
        self,
        model: nn.Module,
        images: torch.Tensor,
        norm: str = ...,
        max_iterations: int = ...,
        overshoot: float = ...,
        classes: int | None = ...,
        clip: bool = ...,
        give_up_beyond: float = ...,
    ) -> Crossing:
        """Estimate the margins of `images`, (B, C, H, W)."""

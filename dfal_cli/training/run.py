"""A training run in progress: its settings, epochs, best weights, and snapshots from which it is resumed."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

MODEL = "model."
"""Prefix of the model's tensors in a Snapshot."""


@dataclass(frozen=True)
class TrainingSettings:
    """Hyperparameters of one training run; the defaults are those of the paper."""

    epochs: int = 100
    lr: float = 1e-3
    batch_size: int = 32
    patience: int = 5
    augment: str = "none"
    mixed_precision: bool = True
    monitor: str = "loss"
    finetuning: "FinetuningSettings | None" = None
    """For a backbone with a head."""


@dataclass(frozen=True)
class FinetuningSettings:
    """How a pretrained network is trained further; the learning rate falls to 0 along half a cosine."""

    share_of_backbone: float = 0.1
    """Learning rate of the backbone, relative to that of the head."""
    weight_decay: float = 0.01
    """Decoupled from the gradient (Loshchilov and Hutter, arXiv:1711.05101)."""


class Epoch(NamedTuple):
    """Loss and accuracy of one epoch; the validation fields are None if there is no validation set."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None

    @property
    def decisive_loss(self) -> float:
        """The validation loss, or the training loss if there is no validation set."""
        return self.loss if self.validation_loss is None else self.validation_loss

    @property
    def decisive_accuracy(self) -> float:
        """The validation accuracy, or the training accuracy if there is no validation set."""
        return self.accuracy if self.validation_accuracy is None else self.validation_accuracy

    def __str__(self) -> str:
        line = f"epoch {self.epoch}: loss {self.loss:.4f}, accuracy {self.accuracy:.4f}"
        if self.validation_loss is None:
            return line
        return f"{line}; validation loss {self.validation_loss:.4f}, accuracy {self.validation_accuracy:.4f}"


class Snapshot(NamedTuple):
    """The state of a training run between two epochs, in a form that can be stored."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]
    """Everything but the tensors, ready for JSON."""

    def matches(self, model: nn.Module) -> bool:
        """Return whether names, shapes and types agree: `copy_` alone would broadcast shapes and convert types."""
        stored, own = (
            {name: (value.shape, value.dtype) for name, value in tensors.items()}
            for tensors in (_without_prefix(self.tensors, MODEL), dict(_tensors_of(model)))
        )
        return stored == own


MONITORS: dict[str, Callable[[Epoch], float]] = {
    "loss": lambda epoch: -epoch.decisive_loss,
    "accuracy": lambda epoch: epoch.decisive_accuracy,
    "last": lambda epoch: epoch.epoch,
}
"""Merit of an epoch, the greater the better: it selects the best epoch and restart, and triggers early stopping."""


def best_epoch(history: Sequence[Epoch], monitor: str) -> Epoch:
    """Return the best epoch; the latest one of a tie, which is common among accuracies."""
    finite = [epoch for epoch in history if math.isfinite(epoch.decisive_loss)]
    return max(finite, key=lambda epoch: (MONITORS[monitor](epoch), epoch.epoch))


class TrainingRun:
    """A training run in progress: model, optimiser, random state, history and best weights so far."""

    def __init__(self, model: nn.Module, settings: TrainingSettings, seed: int) -> None:
        self.model = model
        self.settings = settings
        self.device = next(model.parameters()).device
        self.optimiser = _optimiser(model, settings)
        self.generator = torch.Generator().manual_seed(seed)
        self.history: list[Epoch] = []
        self.since_best = 0
        self.best_merit = -math.inf
        self.best_weights: dict[str, Tensor] = {}

    @property
    def is_over(self) -> bool:
        """Whether the maximum number of epochs is reached, or `patience` epochs have passed without improvement."""
        return len(self.history) >= self.settings.epochs or self.since_best >= self.settings.patience

    def set_learning_rates(self) -> None:
        """Set those of the next epoch, if they change from epoch to epoch."""
        if self.settings.finetuning:
            share = (1 + math.cos(math.pi * len(self.history) / self.settings.epochs)) / 2
            for group in self.optimiser.param_groups:
                group["lr"] = group["initial_lr"] * share

    def add(self, epoch: Epoch) -> None:
        """Record an epoch, and copy the weights if it is at least as good as the best so far."""
        self.history.append(epoch)
        self.since_best += 1
        merit = MONITORS[self.settings.monitor](epoch) if math.isfinite(epoch.decisive_loss) else -math.inf
        if merit > self.best_merit:
            self.since_best = 0
        if merit > -math.inf and merit >= self.best_merit:
            self.best_merit, self.best_weights = merit, copy.deepcopy(self.model.state_dict())

    def snapshot(self) -> Snapshot:
        """Return the state between two epochs, from which `restore` continues."""
        optimiser = self.optimiser.state_dict()["state"]
        tensors = {f"{MODEL}{name}": value for name, value in _tensors_of(self.model)}
        tensors |= {f"best.{name}": value for name, value in self.best_weights.items()}
        tensors |= {f"adam.{index}.{name}": value for index, each in optimiser.items() for name, value in each.items()}
        tensors |= {"generator": self.generator.get_state(), "cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["cuda"] = torch.cuda.get_rng_state(self.device)
        values = {"history": self.history, "since_best": self.since_best, "best_merit": self.best_merit}
        return Snapshot(tensors, values)

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot that `matches` the model; this also sets torch's global random generators."""
        tensors, values = snapshot
        with torch.no_grad():
            for name, value in _tensors_of(self.model):
                value.copy_(tensors[f"{MODEL}{name}"])
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _without_prefix(tensors, "adam.").items():
            index, _, name = key.partition(".")
            states.setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": states})
        self.generator.set_state(tensors["generator"])
        torch.set_rng_state(tensors["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["cuda"], self.device)
        self.best_weights = _without_prefix(tensors, "best.")
        self.history = [Epoch(*epoch) for epoch in values["history"]]
        self.since_best, self.best_merit = values["since_best"], values["best_merit"]


def _optimiser(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    # The fused optimiser saves a tenth of the training time of a small network; it needs floating-point weights.
    fused = all(weight.is_floating_point() for weight in model.parameters())
    finetuning = settings.finetuning
    if finetuning is None:
        return torch.optim.Adam(model.parameters(), lr=settings.lr, fused=fused)
    rates = {"backbone": settings.lr * finetuning.share_of_backbone, "head": settings.lr}
    groups = [
        {"params": list(part.parameters()), "lr": rates[name], "initial_lr": rates[name]}
        for name, part in model.get_submodule("body").named_children()
    ]
    return torch.optim.AdamW(groups, weight_decay=finetuning.weight_decay, fused=fused)


def _tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield parameters and buffers, including those that `state_dict` leaves out."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def _without_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

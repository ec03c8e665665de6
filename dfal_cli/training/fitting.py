"""Training a classifier on a few labelled images and their twins."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfal_cli.errors import UsageError
from dfal_cli.models import seeded
from dfal_cli.training.augment import augmented
from dfal_cli.training.evaluation import evaluate
from dfal_cli.training.examples import Examples, Ready

MODEL = "model."
"""Before the names of the model's tensors among those of a training that is kept."""


class Diverged(Exception):  # noqa: N818 - it is what happened
    """Training came to nothing."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; the defaults are the paper's."""

    epochs: int = 100
    lr: float = 1e-3
    batch_size: int = 32
    patience: int = 5
    augment: str = "none"
    mixed_precision: bool = True
    monitor: str = "loss"


class Epoch(NamedTuple):
    """What one epoch came to."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None

    @property
    def decisive_loss(self) -> float:
        """Of the validation images; of the training images if there are none."""
        return self.loss if self.validation_loss is None else self.validation_loss

    @property
    def decisive_accuracy(self) -> float:
        """Of the same images."""
        return self.accuracy if self.validation_accuracy is None else self.validation_accuracy

    def __str__(self) -> str:
        line = f"epoch {self.epoch}: loss {self.loss:.4f}, accuracy {self.accuracy:.4f}"
        if self.validation_loss is None:
            return line
        return f"{line}; validation loss {self.validation_loss:.4f}, accuracy {self.validation_accuracy:.4f}"


class Kept(NamedTuple):
    """What a training has come to, as it can be stored."""

    tensors: dict[str, Tensor]
    told: dict[str, Any]
    """Ready for JSON."""


MONITORS: dict[str, Callable[[Epoch], float]] = {
    "loss": lambda epoch: -epoch.decisive_loss,
    "accuracy": lambda epoch: epoch.decisive_accuracy,
}
"""What decides which epoch is the best, when to stop, and which start to keep; the greater is the better."""


def best_epoch(history: Sequence[Epoch], monitor: str) -> Epoch:
    """The best epoch; the later one of those that tie, as accuracies often do."""
    finite = [epoch for epoch in history if math.isfinite(epoch.decisive_loss)]
    return max(finite, key=lambda epoch: (MONITORS[monitor](epoch), epoch.epoch))


class TrainingRun:
    """A training under way, and all that decides how it goes on."""

    def __init__(self, model: nn.Module, schedule: TrainingSettings, seed: int) -> None:
        self.model = model
        self.schedule = schedule
        self.device = next(model.parameters()).device
        # One pass over all weights, if they are of a kind that can be: a tenth of the time of training a small network.
        fused = all(weight.is_floating_point() for weight in model.parameters())
        self.optimiser = torch.optim.Adam(model.parameters(), lr=schedule.lr, fused=fused)
        self.generator = torch.Generator().manual_seed(seed)
        self.history: list[Epoch] = []
        self.since_best = 0
        self.best_merit = -math.inf
        self.best_weights: dict[str, Tensor] = {}

    @property
    def is_over(self) -> bool:
        """Whether there have been all epochs, or enough without a better one."""
        return len(self.history) >= self.schedule.epochs or self.since_best >= self.schedule.patience

    def add(self, epoch: Epoch) -> None:
        """Note an epoch, and keep the weights if there has been no better one."""
        self.history.append(epoch)
        self.since_best += 1
        merit = MONITORS[self.schedule.monitor](epoch) if math.isfinite(epoch.decisive_loss) else -math.inf
        if merit > self.best_merit:
            self.since_best = 0
        if merit > -math.inf and merit >= self.best_merit:
            self.best_merit, self.best_weights = merit, copy.deepcopy(self.model.state_dict())

    def kept(self) -> Kept:
        """All of it between two epochs, to be taken up later."""
        optimiser = self.optimiser.state_dict()["state"]
        tensors = {f"{MODEL}{name}": value for name, value in _tensors_of(self.model)}
        tensors |= {f"best.{name}": value for name, value in self.best_weights.items()}
        tensors |= {f"adam.{place}.{name}": value for place, each in optimiser.items() for name, value in each.items()}
        tensors |= {"generator": self.generator.get_state(), "cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["cuda"] = torch.cuda.get_rng_state(self.device)
        return Kept(tensors, {"history": self.history, "since_best": self.since_best, "best_merit": self.best_merit})

    def take_up(self, kept: Kept) -> None:
        """Go on from there, which `fits` the model; torch's global generators too."""
        tensors, told = kept
        with torch.no_grad():
            for name, value in _tensors_of(self.model):
                value.copy_(tensors[f"{MODEL}{name}"])
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _named(tensors, "adam.").items():
            place, _, name = key.partition(".")
            states.setdefault(int(place), {})[name] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": states})
        self.generator.set_state(tensors["generator"])
        torch.set_rng_state(tensors["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["cuda"], self.device)
        self.best_weights = _named(tensors, "best.")
        self.history = [Epoch(*epoch) for epoch in told["history"]]
        self.since_best, self.best_merit = told["since_best"], told["best_merit"]


def fits(kept: Kept, model: nn.Module) -> bool:
    """Whether it is of such a model: copying would make one shape or type of another where that is possible."""
    before, now = (
        {name: (value.shape, value.dtype) for name, value in tensors.items()}
        for tensors in (_named(kept.tensors, MODEL), dict(_tensors_of(model)))
    )
    return before == now


def fit(
    course: TrainingRun,
    training: Examples,
    validation: Examples | None,
    seed: int,
    on_epoch: Callable[[Epoch], None],
    before: Kept | None = None,
    on_step: Callable[[float], None] = lambda share: None,
) -> list[Epoch]:
    """Train with Adam on cross-entropy until no epoch has been better than all before for `patience` epochs.

    The model, on its device, is left with the weights of its best epoch, in eval mode; `on_epoch` is told of each.
    before: where an earlier call had come to; what follows is what would have followed then.
    on_step: is told after each batch what share of its epoch is done.
    Returns the epochs. Raises Diverged if the loss, the weights, or what they say of the first images is not finite.
    """
    train_on, check_on = training.ready(course.device), validation and validation.ready(course.device)
    with seeded(seed, course.device):  # dropout and augmentation draw from the global generators
        if before is not None:
            course.take_up(before)
        while not course.is_over:
            course.add(_epoch(course, train_on, check_on, on_step))
            on_epoch(course.history[-1])
    best = course.best_weights
    if not best or not all(value.isfinite().all() for value in best.values()):
        raise Diverged
    course.model.load_state_dict(best)
    course.model.eval()
    with torch.no_grad(), seeded(seed, course.device):  # an epoch's loss is that before its last step
        first, _ = train_on.batch(torch.arange(min(course.schedule.batch_size, train_on.number), device=course.device))
        if not course.model(first).isfinite().all():
            raise Diverged
    return course.history


def _tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Buffers that are not part of checkpoints included."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _epoch(course: TrainingRun, training: Ready, validation: Ready | None, on_step: Callable[[float], None]) -> Epoch:
    model, schedule, optimiser, device = course.model, course.schedule, course.optimiser, course.device
    mixed = schedule.mixed_precision and device.type == "cuda" and torch.cuda.is_bf16_supported()
    examples, done = training.number + (validation.number if validation else 0), 0

    def on_batch(count: int) -> None:
        nonlocal done
        done += count
        on_step(min(1.0, done / examples))

    model.train()
    loss_sum = torch.zeros((), dtype=torch.float64, device=device)  # summed there: asking each time would wait for it
    right, seen = torch.zeros((), dtype=torch.int64, device=device), 0
    for items in _shuffled(training.number, schedule.batch_size, course.generator, device):
        images, labels = training.batch(items)
        images = augmented(images, schedule.augment)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimiser.zero_grad(set_to_none=True)
        if not loss.requires_grad:
            raise UsageError(
                "the network cannot be trained: its logits depend on no weight that takes a gradient "
                "(is something detached or under no_grad, or are all weights frozen?)"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        loss_sum += loss.detach() * len(items)
        right += (logits.argmax(1) == labels).sum()
        seen += len(items)
        on_batch(len(items))
    checked = None if validation is None else evaluate(model, validation, logits.shape[1], on_batch)
    return Epoch(
        len(course.history) + 1,
        loss_sum.item() / seen,
        right.item() / seen,
        None if checked is None else checked.loss,
        None if checked is None else checked.accuracy,
    )


def _shuffled(count: int, batch_size: int, generator: torch.Generator, device: torch.device) -> Iterator[Tensor]:
    """All items in random order, in batches. A lone one is doubled: batch normalisation cannot train on it."""
    for items in torch.split(torch.randperm(count, generator=generator).to(device), batch_size):
        yield items if len(items) > 1 else items.repeat(2)

"""The training of a network itself, by one process or by all ranks together."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from dfal_cli.steps.train.plan import Start
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.loading import TrainingData
from dfal_cli.training.metrics import metrics_of
from dfal_cli.training.restarts import Restarts, Trained
from dfal_cli.training.run import TrainingSettings, best_epoch
from dfal_cli.training.state import StateFile
from dfal_cli.training.team import Team

TRAIN = "train"
"""Name of the work."""


class Course(NamedTuple):
    """How a network is trained and measured. It can be pickled."""

    seeds: Sequence[int]
    """One for each training run."""
    settings: TrainingSettings
    names: Mapping[str, Sequence[str]]
    """Class names of the sets to measure it on, those of the network first. The training set has no others."""
    sync_batch_norm: bool


def run_course(
    course: Course,
    start: Start,
    data: TrainingData,
    device: torch.device,
    state: StateFile,
    team: Team,
    reporter: Reporter,
) -> tuple[Trained, dict[str, Any]]:
    """Train a network and measure it. The processes of a team call this together, each with its own state and reporter.

    Returns the network, and the metrics of `metrics_of`. Raises the errors of `Restarts.train`.
    """

    def network(seed: int) -> Any:
        model = start(seed, data.training, team).to(device)
        team.prepared(model)
        return model

    restarts = Restarts(network, course.seeds, course.settings, state, reporter, team)
    trained = restarts.train(data.training, data.validation)
    best = best_epoch(trained.histories[trained.best], course.settings.monitor)
    measured = {name: (examples, course.names[name]) for name, examples in data.measured.items()}
    return trained, metrics_of(trained.model, best, len(course.names["training"]), measured, reporter, team)

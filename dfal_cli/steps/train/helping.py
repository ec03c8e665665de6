"""train over several ranks: the work of a rank that helps rank 0, which has read and decoded everything."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from dfal_cli.models.backbones import Backbone, rebuild_backbone
from dfal_cli.steps.train.course import TRAIN, Course, run_course
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.steps.train.plan import Plan, Start
from dfal_cli.system import signals
from dfal_cli.system.crew import Task, Work
from dfal_cli.system.device import choose_device
from dfal_cli.system.reporting import Reporter, Silent
from dfal_cli.training.finetuning import fitted_start
from dfal_cli.training.mapped import mapped
from dfal_cli.training.ranks import TeamOfRanks
from dfal_cli.training.starting import new_network
from dfal_cli.training.state import NoState


@contextlib.contextmanager
def works_of(options: TrainOptions, given: Mapping[str, Any], reporter: Reporter) -> Iterator[Mapping[str, Work]]:
    """Yield the work by name. given: as of `given_to_others`.

    Rank 0 alone decides what a signal ends: this rank computes as long as rank 0 does.
    """

    def train(tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        course: Course = given["course"]
        device = choose_device(options.device)
        team = TeamOfRanks(device, sync_batch_norm=course.sync_batch_norm)
        start = _start(given["plan"], given["backbone"], len(course.names["training"]), device)
        run_course(course, start, mapped(given["examples"]), device, NoState(), team, Silent())
        return iter(())

    with signals.ignored():
        yield {TRAIN: train}


def _start(plan: Plan, described: tuple[dict[str, Any], int] | None, num_classes: int, device: torch.device) -> Start:
    """A function that makes initial networks, whose weights will be replaced by those of rank 0.

    described: metadata and dimension of the backbone to fine-tune.
    """
    arch, shape = plan.architecture, plan.input_format.shape
    if described:
        metadata, dimension = described
        model = rebuild_backbone(metadata).to(device)
        backbone = Backbone(arch, model, plan.input_format, dimension, metadata["weights_sha256"])
        return lambda seed, training, team: fitted_start(backbone, training, num_classes, Silent(), team)
    return lambda seed, training, team: new_network(arch, num_classes, shape, seed)

"""train over several ranks: what rank 0 does for the others, which need not read or decode anything."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from dfal_cli.errors import plural
from dfal_cli.steps.train.course import TRAIN, Course
from dfal_cli.steps.train.plan import Plan
from dfal_cli.system.crew import Crew, Task
from dfal_cli.system.files import beside, temporary_file
from dfal_cli.system.ranks import Rank
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.loading import TrainingData
from dfal_cli.training.mapped import PlacedData, mapped, place
from dfal_cli.training.ranks import TeamOfRanks
from dfal_cli.training.restarts import Trained
from dfal_cli.training.run import TrainingSettings
from dfal_cli.training.team import Team

IMAGES = ".images"
"""What the name of the file of decoded images adds to that of the checkpoint."""

Outcome = tuple[Trained, dict[str, Any]]
"""As of `run_course`."""


@contextlib.contextmanager
def sharing(data: TrainingData, out: Path) -> Iterator[tuple[TrainingData, PlacedData]]:
    """Yield the examples, now in a file beside `out` which all ranks map, and where they are in it."""
    with temporary_file(beside(out.resolve(), IMAGES)) as file:
        placed = place(data, file)
        del data
        yield mapped(placed), placed


def given_to_others(course: Course, plan: Plan, placed: PlacedData) -> dict[str, Any]:
    """What the other ranks are given: the course, the examples, and what their networks are built from."""
    backbone = plan.backbone and (plan.backbone.metadata, plan.backbone.dimension)
    return {"course": course, "examples": placed, "plan": plan._replace(backbone=None), "backbone": backbone}


def run_with(
    crew: Crew, run: Callable[[Team], Outcome], given: dict[str, Any], device: torch.device, reporter: Reporter
) -> Outcome:
    """Run a course together with the other ranks. given: as of `given_to_others`."""
    course: Course = given["course"]
    _report_sharing(crew.ranks, course.settings, reporter)

    def train(tasks: Iterable[Task]) -> Iterator[tuple[Task, Outcome]]:
        yield Task(0, ()), run(TeamOfRanks(device, sync_batch_norm=course.sync_batch_norm))

    ((_, outcome),) = crew.start({TRAIN: train}, given)(TRAIN, ())
    return outcome  # type: ignore[no-any-return]


def _report_sharing(ranks: Sequence[Rank], settings: TrainingSettings, reporter: Reporter) -> None:
    """Say how batches are shared out. Their size and the learning rate are those of one process."""
    machines, size = len({rank.host for rank in ranks}), settings.batch_size
    smallest, largest = max(1, size // len(ranks)), -(-size // len(ranks))
    share = str(largest) if smallest == largest else f"{smallest} or {largest}"
    reporter.note(
        f"{len(ranks)} ranks on {machines} {plural(machines, 'machine')}: batches of {size} images, {share} for each "
        f"rank; learning rate {settings.lr:g}"
    )

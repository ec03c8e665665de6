"""Work on batches of images, by this process alone or by several processes that share it.

A step says what there is to do as tasks, batches of images with fixed boundaries, and how it is done as works,
functions that compute tasks one after the other. Who computes which task changes no result.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from dfal_cli.system.ranks import Rank

Result = TypeVar("Result")


class Task(NamedTuple):
    """A batch of images to work on."""

    start: int
    """Position of the first image in the whole of the work."""
    images: Sequence[str]

    @property
    def end(self) -> int:
        """The position after the last image."""
        return self.start + len(self.images)


Work = Callable[..., Iterator[tuple[Task, Any]]]
"""(tasks, **settings) -> the tasks with their results, in the order of the tasks. It may take some tasks ahead."""

Each = Callable[..., Iterator[tuple[Task, Any]]]
"""(name of a work, tasks, **settings) -> the tasks with their results, in any order."""


class Crew(Protocol):
    """The processes that do the work of a step."""

    @property
    def ranks(self) -> Sequence[Rank]:
        """All ranks; empty if this process is none."""

    def start(self, works: Mapping[str, Work], given: Mapping[str, Any]) -> Each:
        """Return the function that has tasks computed. given: what the other processes need for the same works."""


class Alone:
    """A crew of this process only."""

    ranks: Sequence[Rank] = ()

    def start(self, works: Mapping[str, Work], given: Mapping[str, Any]) -> Each:
        """Return the function that computes tasks here."""

        def each(name: str, tasks: Iterable[Task], **settings: Any) -> Iterator[tuple[Task, Any]]:
            return works[name](tasks, **settings)

        return each


ALONE = Alone()


def tasks_of(images: Sequence[str], size: int, start: int = 0, end: int | None = None) -> Iterator[Task]:
    """Yield the images from `start` up to `end` as tasks of `size` images; the last one may be smaller."""
    stop = len(images) if end is None else end
    return (Task(at, images[at : min(at + size, stop)]) for at in range(start, stop, size))


def with_results(
    tasks: Iterable[Task], stream: Callable[[Iterator[Sequence[str]]], Iterator[Result]]
) -> Iterator[tuple[Task, Result]]:
    """Yield each task with its result. stream: yields a result for each batch of images; it may take batches ahead."""
    taken: deque[Task] = deque()

    def batches() -> Iterator[Sequence[str]]:
        for task in tasks:
            taken.append(task)
            yield task.images

    for result in stream(batches()):
        yield taken.popleft(), result

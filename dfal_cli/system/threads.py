"""Threads: how many the libraries for linear algebra and clusters use, and some to wait for disks and stores."""

import functools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

WAITING = 16
"""Number of threads that wait for answers."""


def one_thread() -> AbstractContextManager[object]:
    """Compute in one thread in the block, so that the result is the same on any number of cores.

    Several threads add up numbers in an order of their own. Where products are small, they also only wait for each
    other: on two busy cores, fitting a head took twenty times as long.
    """
    limit: AbstractContextManager[object] = _libraries().limit(limits=1)
    return limit


def answers(function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
    """Yield function(item) of each item, in order; an object store or a shared folder is asked for several at once."""
    threads = ThreadPoolExecutor(WAITING, "waiting")
    try:
        yield from threads.map(function, items)
    finally:
        threads.shutdown(cancel_futures=True)


@functools.cache
def _libraries() -> Any:
    """The libraries that compute, once they are loaded."""
    import sklearn.cluster
    import sklearn.linear_model  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

"""How many threads the libraries for linear algebra and clusters use."""

import functools
from contextlib import AbstractContextManager
from typing import Any


def one_thread() -> AbstractContextManager[object]:
    """Compute in one thread in the block, so that the result is the same on any number of cores.

    Several threads add up numbers in an order of their own. Where products are small, they also only wait for each
    other: on two busy cores, fitting a head took twenty times as long.
    """
    limit: AbstractContextManager[object] = _libraries().limit(limits=1)
    return limit


@functools.cache
def _libraries() -> Any:
    """The libraries that compute, once they are loaded."""
    import sklearn.cluster
    import sklearn.linear_model  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

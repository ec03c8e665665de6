"""score over several ranks: the works of a rank that helps rank 0."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from dfal_cli.steps.pool_network import loaded
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.score.preparation import new_works
from dfal_cli.system.crew import Work
from dfal_cli.system.reporting import Reporter


@contextlib.contextmanager
def works_of(options: ScoreOptions, given: Mapping[str, Any], reporter: Reporter) -> Iterator[Mapping[str, Work]]:
    """Yield the works by name. given: as for `loaded`."""
    with loaded(options, given, reporter) as (network, source, batches):
        yield new_works(options, network, source, batches, reporter)[0]

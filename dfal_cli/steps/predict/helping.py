"""predict over several ranks: the works of a rank that helps rank 0."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from dfal_cli.steps.pool_network import loaded
from dfal_cli.steps.predict.options import PredictOptions
from dfal_cli.steps.predict.pixels import PREDICT, new_classifier
from dfal_cli.system.crew import Work
from dfal_cli.system.reporting import Reporter


@contextlib.contextmanager
def works_of(options: PredictOptions, given: Mapping[str, Any], reporter: Reporter) -> Iterator[Mapping[str, Work]]:
    """Yield the works by name. given: as for `loaded`."""
    with loaded(options, given, reporter) as (network, source, batches):
        yield {PREDICT: new_classifier(options, network, source, batches).predict}

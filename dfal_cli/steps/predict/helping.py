"""predict over several ranks: the works of a rank that helps rank 0."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.images import open_images
from dfal_cli.models import fast_pooling
from dfal_cli.steps.predict.options import PredictOptions
from dfal_cli.steps.predict.pixels import PREDICT, new_classifier
from dfal_cli.system.crew import Work
from dfal_cli.system.device import FittingBatches, choose_device, tf32
from dfal_cli.system.fingerprints import must_be_unchanged
from dfal_cli.system.reporting import Reporter


@contextlib.contextmanager
def works_of(options: PredictOptions, given: Mapping[str, Any], reporter: Reporter) -> Iterator[Mapping[str, Work]]:
    """Yield the works by name. given: the SHA-256 of the checkpoint, and the batch sizes."""
    assert options.images is not None  # embeddings are classified by rank 0 alone
    network = load_checkpoint(
        options.checkpoint, choose_device(options.device), trust_code=options.trust_code, architecture=options.arch
    )
    must_be_unchanged(options.checkpoint, network.sha256, given["checkpoint"])
    read, computed = given["sizes"]
    with (
        open_images(
            None, options.images, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
        ) as source,
        tf32(allowed=False),
        fast_pooling(network.model),
    ):
        yield {PREDICT: new_classifier(options, network, source, FittingBatches(read, reporter, computed)).predict}

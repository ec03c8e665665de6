"""embed over several ranks: the works of a rank that helps rank 0."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from dfal_cli.errors import TryAgainError
from dfal_cli.images import open_images
from dfal_cli.steps.embed.computing import EMBED, embed_work, load
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.system.crew import Work
from dfal_cli.system.device import FittingBatches, choose_device
from dfal_cli.system.reporting import Reporter


@contextlib.contextmanager
def works_of(options: EmbedOptions, given: Mapping[str, Any], reporter: Reporter) -> Iterator[Mapping[str, Work]]:
    """Yield the works by name. given: the backbone and the SHA-256 of its weights, and the batch sizes."""
    backbone = load(options, given["backbone"], choose_device(options.device))
    if backbone.weights_sha256 != given["weights"]:
        raise TryAgainError(f"--backbone {backbone.name}: its weights differ between ranks; run the same command again")
    read, computed = given["sizes"]
    with open_images(
        None, options.images, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
    ) as source:
        yield {EMBED: embed_work(options, backbone, source, FittingBatches(read, reporter, computed))}

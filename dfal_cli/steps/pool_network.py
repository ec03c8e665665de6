"""The network that classifies a pool (score, predict), as each rank loads it."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch

from dfal_cli.checkpoint import LoadedNetwork, load_checkpoint
from dfal_cli.images import ImageSource, open_images
from dfal_cli.models import fast_pooling
from dfal_cli.steps.checkpoint_options import ClassifyingOptions
from dfal_cli.system.device import FittingBatches, choose_device, tf32
from dfal_cli.system.fingerprints import must_be_unchanged
from dfal_cli.system.reporting import Reporter


class Loaded(NamedTuple):
    """What a rank that helps rank 0 computes with."""

    network: LoadedNetwork
    source: ImageSource
    batches: FittingBatches


def load_network(options: ClassifyingOptions, device: torch.device, sha256: str) -> LoadedNetwork:
    """Load the checkpoint. Raises the errors of `load_checkpoint`, and TryAgainError if it has another hash."""
    network = load_checkpoint(options.checkpoint, device, trust_code=options.trust_code, architecture=options.arch)
    must_be_unchanged(options.checkpoint, network.sha256, sha256)
    return network


@contextlib.contextmanager
def classifying(network: LoadedNetwork) -> Iterator[None]:
    """Let the network compute fast in the block, and in full precision."""
    with tf32(allowed=False), fast_pooling(network.model):
        yield


@contextlib.contextmanager
def loaded(options: ClassifyingOptions, given: Mapping[str, Any], reporter: Reporter) -> Iterator[Loaded]:
    """Yield what a rank that helps rank 0 computes with. given: the hash of the checkpoint, and the batch sizes."""
    assert options.images is not None  # embeddings are classified by rank 0 alone
    network = load_network(options, choose_device(options.device), given["checkpoint"])
    read, computed = given["sizes"]
    with (
        open_images(
            None, options.images, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
        ) as source,
        classifying(network),
    ):
        yield Loaded(network, source, FittingBatches(read, reporter, computed))

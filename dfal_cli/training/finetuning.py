"""The initial network of fine-tuning: a backbone with a head that is fitted to its embeddings first.

From a random head, the first steps would distort the features of the backbone (Kumar and others, arXiv:2202.10054).
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dfal_cli.models import Network
from dfal_cli.models.backbones import Backbone
from dfal_cli.models.embedding import embed_pixels
from dfal_cli.models.head_file import BACKBONE, BIAS, WEIGHT, save_head
from dfal_cli.models.headed import headed_network
from dfal_cli.models.pretrained import sha256_of_state
from dfal_cli.system.device import FittingBatches, first_batch_size, on_device
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.vectors import unit_length
from dfal_cli.training.examples import Examples
from dfal_cli.training.head import fit_head
from dfal_cli.training.team import SINGLE, Team


def fitted_start(
    backbone: Backbone, training: Examples, num_classes: int, reporter: Reporter, team: Team = SINGLE
) -> Network:
    """Return a copy of the backbone with a head fitted to the embeddings of the training images, without twins.

    team: the processes that call this together. Each embeds a part of the images; only the first one fits the head, and
    only its backbone needs to have the weights.
    """
    model = copy.deepcopy(backbone.model)
    team.equalise(model.state_dict().values())
    device = model.mean.device
    size = first_batch_size(device, backbone.input_format.shape)
    batches = FittingBatches(size, reporter)
    vectors = [np.empty((0, backbone.dimension), np.float32)]
    images = team.part_of(training.images)
    with reporter.progress("embedding", len(images), "images") as progress:
        for pixels in torch.split(images, size):
            vectors += batches.apply(lambda part: embed_pixels(model, part), on_device(pixels, device))
            progress.advance(len(pixels))
    embeddings = team.gathered(np.concatenate(vectors))
    network = headed_network(model, num_classes, backbone.dimension).to(device)
    network = network.to(memory_format=torch.channels_last)  # a third quicker on CPUs
    if embeddings is not None:
        head = fit_head(unit_length(embeddings), training.labels.numpy().astype(np.intp), num_classes)
        with torch.no_grad():
            network.get_parameter(f"body.{WEIGHT}").copy_(torch.from_numpy(head.weight))
            network.get_parameter(f"body.{BIAS}").copy_(torch.from_numpy(head.bias))
    return network


def save_finetuned(
    path: Path, network: Network, backbone: Backbone, *, classes: tuple[str, ...], extra_metadata: Mapping[str, Any]
) -> None:
    """Write a fine-tuned network as the checkpoint of a head with its backbone, whose weights have changed."""
    state = network.body.state_dict()
    weights = {name.removeprefix(BACKBONE): value for name, value in state.items() if name.startswith(BACKBONE)}
    save_head(
        path, *(state[name].cpu().double().numpy() for name in (WEIGHT, BIAS)), classes=classes,
        embeddings=backbone.metadata | {"weights_sha256": sha256_of_state(weights)},
        backbone={name: value.cpu().numpy() for name, value in weights.items()}, extra_metadata=extra_metadata,
    )  # fmt: skip

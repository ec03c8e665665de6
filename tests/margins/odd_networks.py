"""Networks that short cuts stumble over."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.margins.networks import convolutional_network, fill

CLASSES = 5


def small_network(dtype=torch.float64):
    return convolutional_network(CLASSES, dtype=dtype)


class OneByOne(nn.Module):
    """Its layers see images without a batch dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.rest = small_network()[0], small_network()[1:]

    def forward(self, images):
        return self.rest(torch.stack([self.first(image) for image in images]))


class CalledTwice(nn.Module):
    """A convolution at two places, and a last layer that serves another head as well."""

    def __init__(self) -> None:
        super().__init__()
        self.thin, self.body = fill(nn.Conv2d(3, 3, 3, padding=1), 0).double(), small_network()

    def forward(self, images):
        features = self.body[:-1](self.thin(self.thin(images)))
        logits = self.body[-1](features)
        self.body[-1](3 * features)
        return logits


class OtherWeights(nn.Module):
    """Called with other weights than its own: an ensemble's, or a moving average's."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.average = small_network(), [dict(fill(small_network(), 3).named_parameters())]

    def forward(self, images):
        return torch.func.functional_call(self.body, {k: v.detach() for k, v in self.average[0].items()}, images)


class WeightsFromTheImage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = small_network()

    def forward(self, images):
        own = self.body[0].weight
        each = [{"0.weight": own * (1 + image.mean())} for image in images]
        parts = zip(each, images.split(1), strict=True)
        return torch.cat([torch.func.functional_call(self.body, weights, image) for weights, image in parts])


class Vmapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = small_network()

    def forward(self, images):
        return torch.vmap(lambda image: self.body(image[None])[0])(images)


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = small_network()

    def forward(self, images):
        return self.body[3:](checkpoint(self.body[:3], images, use_reentrant=False))


class Viewing(nn.Module):
    """Does not take an empty batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body = small_network()

    def forward(self, images):
        features = self.body[:4](images)
        return self.body[5:](features.view(features.size(0), -1))


def wrapped(wrap):
    model = small_network()
    for place in (0, 5, 7):
        wrap(model[place])
    return model.eval()


def in_place(model=None):
    model = model or small_network()
    model[2], model[3], model[6] = nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True), nn.ReLU(inplace=True)
    return model.eval()


ODD_NETWORKS = {
    "batch norm, dropout": small_network,
    "in place": in_place,
    "channels last": lambda: in_place().to(memory_format=torch.channels_last),
    "one by one": OneByOne,
    "layers called twice": CalledTwice,
    "other weights": OtherWeights,
    "weights from the image": WeightsFromTheImage,
    "vmap": Vmapped,
    "checkpointed": Checkpointed,
    "weight norm": lambda: wrapped(nn.utils.parametrizations.weight_norm),
    "spectral norm": lambda: wrapped(nn.utils.parametrizations.spectral_norm),
    "scripted": lambda: torch.jit.script(small_network()),
    "data parallel": lambda: nn.DataParallel(small_network()),
    "log-softmax": lambda: nn.Sequential(small_network(), nn.LogSoftmax(1)),
    "convolution last": lambda: fill(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()), 3
    ).double(),
}

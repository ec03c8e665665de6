"""torchvision's classification networks as backbones: the input of their last linear layer is the embedding."""

from torch import nn

from dfal_cli.images import Resize
from dfal_cli.models import torchvision_networks
from dfal_cli.models.normalised import Normalisation, Shape
from dfal_cli.models.pretrained import Recipe, Source, State, load_all
from dfal_cli.models.weights import read_pretrained

OWN_NORMALISATION = ("googlenet", "inception_v3")
"""Networks whose pretrained weights expect another normalisation than ImageNet's, to which they convert."""


def has(name: str) -> bool:
    """Return whether torchvision has a network of this name."""
    return name in torchvision_networks.names()


def recipe(name: str) -> Recipe:
    """Return how torchvision prepares images for its weights of the network."""
    transform = torchvision_networks.own_transform(name)
    resize = Resize("crop", transform.resize_size[0], transform.interpolation.value)
    return Recipe(transform.crop_size[0], resize, Normalisation(tuple(transform.mean), tuple(transform.std)))


def build(name: str, shape: Shape) -> nn.Module:
    """Build the network without its head."""
    body = torchvision_networks.build(name, 2, shape)
    if name in OWN_NORMALISATION:
        vars(body)["transform_input"] = True
    linear = [layer for layer, module in body.named_modules() if isinstance(module, nn.Linear)]
    if linear:
        parent, _, own = linear[-1].rpartition(".")
        setattr(body.get_submodule(parent), own, nn.Identity())
    else:  # SqueezeNet's head is a convolution
        body.classifier = nn.AdaptiveAvgPool2d(1)
    return body


def pretrained(name: str, shape: Shape) -> nn.Module:
    """Build the network with torchvision's weights, which are downloaded once."""
    return load_all(build(name, shape), read_pretrained(name), f"torchvision's {name}")


def renamed(state: State, body: nn.Module) -> State:
    """Return the weights of a file by the names of today's networks."""
    return torchvision_networks.renamed(state)


TORCHVISION = Source(has, recipe, build, pretrained, renamed)

"""Our estimators and other implementations, each as a function from images (B, C, H, W) to points across the boundary.

Where a peer can do without, nothing is clipped to [0, 1]; one that cannot is marked `box`. All walk at most 50 steps
and overshoot by 2 %, as dfal does unless told otherwise.
"""

import importlib.util
import logging
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dfal_cli.margins import ESTIMATORS

Method = Callable[[Tensor], Tensor]

STEPS = 50
OVERSHOOT = 0.02
WIDE = (-100.0, 100.0)
"""Bounds that no point reaches, for foolbox, which insists on some."""


class Peer(NamedTuple):
    """Another implementation."""

    package: str
    make: Callable[[nn.Module, int], Method]
    """From the network and its number of classes."""
    slow: bool = False
    """Measured on few images only."""


def our_methods(model: nn.Module) -> dict[str, Method]:
    """Every estimator of the table, with its default settings."""

    def method(name: str) -> Method:
        return lambda images: ESTIMATORS[name](model, images).adversarial

    return {f"dfal {name}": method(name) for name in ESTIMATORS}


def is_installed(peer: Peer) -> bool:
    """Whether its package can be imported."""
    return importlib.util.find_spec(peer.package) is not None


def foolbox_attack(model: nn.Module, name: str, **settings: float | int | None) -> Method:
    """An untargeted attack of foolbox, against the network's own prediction."""
    import foolbox

    attack = getattr(foolbox.attacks, name)(**settings)

    def run(images: Tensor) -> Tensor:
        wrapped = foolbox.PyTorchModel(model, bounds=WIDE, device=images.device)
        return attack(wrapped, images, _predicted(model, images), epsilons=None)[1]

    return run


def foolbox_targeted_ddn(model: nn.Module, steps: int, targets: Callable[[Tensor], Tensor]) -> Method:
    """foolbox's DDN towards the classes (B,) that `targets` names for the logits (B, K)."""
    import foolbox

    attack = foolbox.attacks.DDNAttack(steps=steps)

    def run(images: Tensor) -> Tensor:
        with torch.no_grad():
            aim = foolbox.criteria.TargetedMisclassification(targets(model(images)))
        return attack(foolbox.PyTorchModel(model, bounds=WIDE, device=images.device), images, aim, epsilons=None)[1]

    return run


def _art_deepfool(model: nn.Module, classes: int) -> Method:
    logging.getLogger("art").setLevel(logging.ERROR)  # it warns that it does not clip, which is what we want
    from art.attacks.evasion import DeepFool
    from art.estimators.classification import PyTorchClassifier

    def run(images: Tensor) -> Tensor:
        classifier = PyTorchClassifier(
            model, nn.CrossEntropyLoss(), tuple(images.shape[1:]), classes, device_type=images.device.type
        )
        attack = DeepFool(
            classifier, max_iter=STEPS, epsilon=OVERSHOOT, nb_grads=classes, batch_size=len(images), verbose=False
        )
        return torch.from_numpy(attack.generate(images.cpu().numpy())).to(images)

    return run


def _torchattacks_deepfool(model: nn.Module, classes: int) -> Method:
    import torchattacks

    attack = torchattacks.DeepFool(model, steps=STEPS, overshoot=OVERSHOOT)
    return lambda images: attack(images, _predicted(model, images))


def _foolbox(name: str, **settings: float | int | None) -> Callable[[nn.Module, int], Method]:
    return lambda model, classes: foolbox_attack(model, name, **settings)


PEERS = {
    "foolbox L2DeepFool, all classes": Peer(
        "foolbox", _foolbox("L2DeepFoolAttack", steps=STEPS, candidates=None, overshoot=OVERSHOOT)
    ),
    "foolbox L2DeepFool, 3 candidates": Peer(
        "foolbox", _foolbox("L2DeepFoolAttack", steps=STEPS, candidates=3, overshoot=OVERSHOOT)
    ),
    "adversarial-robustness-toolbox DeepFool": Peer("art", _art_deepfool, slow=True),
    "torchattacks DeepFool (box)": Peer("torchattacks", _torchattacks_deepfool, slow=True),
    "foolbox DDN, 100 steps": Peer("foolbox", _foolbox("DDNAttack", steps=100)),
}


def _predicted(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images).argmax(1)

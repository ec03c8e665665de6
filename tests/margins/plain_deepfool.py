"""DeepFool the plain way, to compare with: all classes, one by one, one image at a time."""

import torch
from torch import Tensor, nn

from dfal_cli.margins import deepfool, refined
from dfal_cli.margins.norms import NORMS


def plain_margins(model: nn.Module, images: Tensor, norm: str = "l2", classes: int | None = None) -> Tensor:
    """DeepFool as the paper has it, with overshoot 0.02; nan where it has not crossed after 50 steps."""
    return torch.stack([plain_margin(model, image[None], norm, classes) for image in images])


def plain_margin(model: nn.Module, image: Tensor, norm: str, classes: int | None) -> Tensor:
    perturbation = torch.zeros_like(image)
    clean = model(image.clone())[0].detach()
    candidates = clean.argsort(descending=True)[:classes].tolist()
    for _ in range(51):
        point = (image + 1.02 * perturbation).detach().requires_grad_()
        logits = model(point.clone())[0]
        if logits.argmax() != candidates[0]:
            return 1.02 * NORMS[norm].length(perturbation)[0]
        steps = [step_to(logits[k] - logits[candidates[0]], point, norm) for k in candidates[1:]]
        perturbation = perturbation + min(steps, key=NORMS[norm].length)
    return torch.tensor(torch.nan, dtype=image.dtype)


def step_to(lead: Tensor, point: Tensor, norm: str) -> Tensor:
    """The smallest step that makes the lead, were it linear, nothing."""
    (w,) = torch.autograd.grad(lead, point, retain_graph=True)
    return lead.detach().abs() * (w / w.norm() ** 2 if norm == "l2" else w.sign() / w.abs().sum())


def state_of(model):
    return (
        [(module.training, sorted(set(vars(module)) - {"training"})) for module in model.modules()],
        [len(module._forward_hooks) for module in model.modules() if isinstance(module, nn.Linear)],
        [parameter.requires_grad for parameter in model.parameters()],
    )


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_as_plain(model, images, norms=("l2", "linf"), rtol=1e-5, classes=None):
    """DeepFool's margins are the plain ones, refined ones are no larger, and the model is as it was.

    Not of all images: of 200 DeepFool may rule out one class too many, by the factors in boundary.py.
    """
    before, weights = state_of(model), weights_of(model)
    for norm in norms:
        expected = plain_margins(model, images, norm, classes)
        assert expected.isfinite().any()
        first, tight = (estimator(model, images, norm=norm, classes=classes) for estimator in (deepfool, refined))
        torch.testing.assert_close(first.margin, expected, rtol=rtol, atol=0, equal_nan=True)
        assert torch.equal(tight.crossed, first.crossed)
        assert (tight.margin <= first.margin)[first.crossed].all()
    assert state_of(model) == before
    torch.testing.assert_close(weights_of(model), weights, rtol=0, atol=0)

"""Sanity checks of a network and of its scores: warnings if the margins would mean little."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.images.decode import Pixels
from dfal_cli.margins.gradients import gradient_of, logits_of, pixel_gradients, traced_logits
from dfal_cli.schemas import CROSSED, UNCROSSED
from dfal_cli.system.device import FittingBatches, on_device
from dfal_cli.system.reporting import Reporter

PROBED = 8
"""Number of images for the checks: three forward passes and a backward pass, less than their margins cost."""

GLOBALS: dict[str, Callable[[], Any]] = {
    "the gradient mode": torch.is_grad_enabled,
    "the default type": torch.get_default_dtype,
    "the number of threads": torch.get_num_threads,
    "the random generator": lambda: torch.get_rng_state().numpy().tobytes(),
}
"""Global state of torch that a forward pass must not change."""

MANY_UNCROSSED = 0.1
"""Maximum normal share of images without a margin. For trained networks the share is 0."""

NEARLY_ALL = 0.9
"""Share of the predictions above which a single class is suspicious, unless the labels are distributed like that."""

ENOUGH_TO_JUDGE = 20
"""Minimum number of images for judging predictions: a few may well have the same class."""


def probe_network(network: LoadedNetwork, pixels: Pixels, batches: FittingBatches, reporter: Reporter) -> None:
    """Warn if a few images show that the results of this network cannot be trusted.

    pixels: (B, C, H, W) uint8; B may be 0, which shows nothing.
    """
    images = on_device(torch.from_numpy(pixels), network.device).float() / 255
    for check in (_reproducibility_problems, _gradient_problems):
        found = batches.apply(partial(check, network.model), images)
        for problem in dict.fromkeys(chain.from_iterable(found)):
            reporter.warn(f"the results of this network cannot be trusted: {problem}")


def warn_unless_learnt(network: LoadedNetwork, reporter: Reporter) -> None:
    """Warn if the checkpoint says that its training failed."""
    match network.metadata:
        case {"metrics": {"learnt": False}}:
            reporter.warn("the network was no better than guessing at the end of its training: its margins mean little")


def judge_scores(
    predicted: Sequence[str | None],
    network: LoadedNetwork,
    outcomes: Mapping[str, int],
    reasons: Mapping[str, int],
    reporter: Reporter,
) -> None:
    """Warn if the predictions or outcomes of the whole pool look wrong.

    predicted: class of each image, None if its logits are not finite. outcomes: number of images by outcome. reasons:
    number of uncrossed images by reason.
    """
    names = Counter(name for name in predicted if name is not None)
    total, known = len(predicted), names.total()
    if known < total:
        reporter.warn(f"the logits of {total - known} of {total} images are not finite: these images have no measures")
    if known >= ENOUGH_TO_JUDGE:
        _warn_of_one_class(*names.most_common(1)[0], known, network.metadata, reporter)
    uncrossed, tried = outcomes[UNCROSSED], outcomes[CROSSED] + outcomes[UNCROSSED]
    if uncrossed > MANY_UNCROSSED * tried:
        why = reasons_in_words(reasons)
        reporter.warn(f"{uncrossed} of {tried} images have no margin ({why}); the nearest images may be among them")


def _warn_of_one_class(name: str, count: int, known: int, metadata: Mapping[str, Any], reporter: Reporter) -> None:
    """Warn if nearly all images are predicted as the class `name`, unless nearly all labels are of that class too."""
    if count == known:
        reporter.warn(f"all {known} images are predicted as {name!r}: the network may not have learnt anything")
    elif count >= NEARLY_ALL * known and _share_of_labels(name, metadata) < NEARLY_ALL:
        reporter.warn(
            f"{count:,} of {known:,} images ({100 * count / known:.0f} %) are predicted as {name!r}: "
            "the network may not have learnt anything"
        )


def _share_of_labels(name: str, metadata: Mapping[str, Any]) -> float:
    """Return the share of the training labels that are of this class; 0 if the checkpoint does not say."""
    match metadata.get("label_counts"):
        case dict(counts) if all(type(count) is int and count >= 0 for count in counts.values()):
            return float(counts.get(name, 0) / max(1, sum(counts.values())))
    return 0.0


def reasons_in_words(reasons: Mapping[str, int]) -> str:
    """Return `3 no gradient, 1 cap reached`."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def _reproducibility_problems(model: nn.Module, images: Tensor) -> list[str]:
    """Compare the logits of two identical forward passes, and of an image in a batch and alone."""
    with torch.no_grad():
        before = {name: read() for name, read in GLOBALS.items()}
        first, second, alone = (logits_of(model, part) for part in (images, images, images[:1]))
        changed = [name for name, read in GLOBALS.items() if read() != before[name]]
    problems = [f"its forward pass changes {' and '.join(changed)} of torch"] if changed else []
    if _differ(first, second):
        return [
            *problems,
            "the same images give different logits each time (dropout, or a layer in train mode?)",
        ]
    if _differ(first[:1], alone):
        return [*problems, "an image alone gives different logits than in a batch (batch norm in train mode?)"]
    return problems


def _differ(logits: Tensor, others: Tensor) -> bool:
    """Return whether two sets of logits, (B, K), differ by more than rounding."""
    finite = logits[logits.isfinite()]
    unit = finite.abs().max().item() if len(finite) else 1.0
    tolerance = max(torch.finfo(kind).eps for kind in (logits.dtype, torch.float32)) ** 0.5  # images are in float32
    return not torch.allclose(logits, others, rtol=0, atol=tolerance * unit, equal_nan=True)


def _gradient_problems(model: nn.Module, images: Tensor) -> list[str]:
    with pixel_gradients(model):
        leaf, logits = traced_logits(model, images)
        top = logits.detach().topk(2, dim=1).indices
        lead = torch.zeros_like(logits).scatter(1, top[:, :1], 1).scatter(1, top[:, 1:], -1)
        gradient = gradient_of(logits, leaf, lead)
    if (gradient.nan_to_num() != 0).any() or not logits.isfinite().all(1).any():
        return []
    return ["no pixel has a gradient (is something detached, rounded, or under no_grad?)"]

"""Whether the numbers of a network can be trusted: what it does is looked at, whatever it says of itself."""

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
"""Images that a network is tried on, in three forward passes and a backward one: less than their margins take."""

GLOBALS: dict[str, Callable[[], Any]] = {
    "the gradient mode": torch.is_grad_enabled,
    "the default type": torch.get_default_dtype,
    "the number of threads": torch.get_num_threads,
    "the random generator": lambda: torch.get_rng_state().numpy().tobytes(),
}
"""What of torch's is everybody's."""

MANY_UNCROSSED = 0.1
"""Where a larger share of the images has no margin, the nearest may be among those. On trained networks it is 0."""

NEARLY_ALL = 0.9
"""Of the predictions, one class has only if nearly all images are of it, or if the network knows no better."""

ENOUGH_TO_JUDGE = 20
"""Of fewer images it is no wonder that all are predicted alike."""


def probe_network(network: LoadedNetwork, pixels: Pixels, batches: FittingBatches, reporter: Reporter) -> None:
    """Warn if margins of this network would mean little, as a few images show.

    pixels: (B, C, H, W) uint8; if B is 0 they show nothing.
    """
    images = on_device(torch.from_numpy(pixels), network.device).float() / 255
    for looked_at in (_unsteady, _without_gradient):
        found = batches.apply(partial(looked_at, network.model), images)
        for problem in dict.fromkeys(chain.from_iterable(found)):
            reporter.warn(f"the network's numbers cannot be trusted: {problem}")


def warn_unless_learnt(network: LoadedNetwork, reporter: Reporter) -> None:
    """Repeat what its training found out."""
    match network.metadata:
        case {"metrics": {"learnt": False}}:
            reporter.warn("when it was trained, the network was no better than guessing: its margins mean little")


def judge_scores(
    predicted: Sequence[str | None],
    network: LoadedNetwork,
    outcomes: Mapping[str, int],
    reasons: Mapping[str, int],
    reporter: Reporter,
) -> None:
    """Warn of what the whole of the scores says against them.

    predicted: a class for each image, None where the logits are not finite; outcomes: how many images have crossed and
    how many have not; reasons: why the latter have not.
    """
    names = Counter(name for name in predicted if name is not None)
    everyone, known = len(predicted), names.total()
    if known < everyone:
        reporter.warn(f"the logits of {everyone - known} of {everyone} images are not finite: nothing is known of them")
    if known >= ENOUGH_TO_JUDGE:
        _warn_of_one_class(*names.most_common(1)[0], known, network.metadata, reporter)
    uncrossed, tried = outcomes[UNCROSSED], outcomes[CROSSED] + outcomes[UNCROSSED]
    if uncrossed > MANY_UNCROSSED * tried:
        why = reasons_in_words(reasons)
        reporter.warn(f"{uncrossed} of {tried} images have no margin ({why}); the nearest may be among them")


def _warn_of_one_class(name: str, count: int, known: int, metadata: Mapping[str, Any], reporter: Reporter) -> None:
    """Warn if nearly all images are predicted as the class `name`, unless most of the labels were of it, too."""
    if count == known:
        reporter.warn(f"all {known} images are predicted as {name!r}: the network may not have learnt anything")
    elif count >= NEARLY_ALL * known and _share_of_labels(name, metadata) < NEARLY_ALL:
        reporter.warn(
            f"{count:,} of {known:,} images ({100 * count / known:.0f} %) are predicted as {name!r}: "
            "the network may not have learnt anything"
        )


def _share_of_labels(name: str, metadata: Mapping[str, Any]) -> float:
    """Of the labels that the network was trained on, those of that class; 0 where the checkpoint does not tell."""
    match metadata.get("label_counts"):
        case dict(counts) if all(type(count) is int and count >= 0 for count in counts.values()):
            return float(counts.get(name, 0) / max(1, sum(counts.values())))
    return 0.0


def reasons_in_words(reasons: Mapping[str, int]) -> str:
    """`3 no gradient, 1 cap reached`."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def _unsteady(model: nn.Module, images: Tensor) -> list[str]:
    """What shows when the same images are looked at again, and when one of them is looked at alone."""
    with torch.no_grad():
        before = {name: read() for name, read in GLOBALS.items()}
        first, second, alone = (logits_of(model, part) for part in (images, images, images[:1]))
        changed = [name for name, read in GLOBALS.items() if read() != before[name]]
    problems = [f"its forward pass changes {' and '.join(changed)} of torch, for all that follows"] if changed else []
    if _differ(first, second):
        return [*problems, "the same images give other logits each time (dropout, or a layer that is always training?)"]
    if _differ(first[:1], alone):
        return [*problems, "an image alone gives other logits than in a batch (batch norm that is always training?)"]
    return problems


def _differ(logits: Tensor, others: Tensor) -> bool:
    """Whether by more than rounding; both (B, K)."""
    finite = logits[logits.isfinite()]
    unit = finite.abs().max().item() if len(finite) else 1.0
    tolerance = max(torch.finfo(kind).eps for kind in (logits.dtype, torch.float32)) ** 0.5  # images are in float32
    return not torch.allclose(logits, others, rtol=0, atol=tolerance * unit, equal_nan=True)


def _without_gradient(model: nn.Module, images: Tensor) -> list[str]:
    with pixel_gradients(model):
        leaf, logits = traced_logits(model, images)
        top = logits.detach().topk(2, dim=1).indices
        lead = torch.zeros_like(logits).scatter(1, top[:, :1], 1).scatter(1, top[:, 1:], -1)
        gradient = gradient_of(logits, leaf, lead)
    if (gradient.nan_to_num() != 0).any() or not logits.isfinite().all(1).any():
        return []
    return ["no pixel has a gradient (is something detached, rounded, or under no_grad?), so that there are no margins"]

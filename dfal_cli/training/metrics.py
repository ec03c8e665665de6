"""Metrics of a trained network, ready for JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from dfal_cli.system.reporting import Reporter
from dfal_cli.training.evaluation import evaluate, logits_of
from dfal_cli.training.examples import Examples
from dfal_cli.training.learnt import evidence_in
from dfal_cli.training.measured import evaluation_of
from dfal_cli.training.run import Epoch
from dfal_cli.training.team import SINGLE, Team
from dfal_cli.training.temperature import HeldOut, calibration_in


def metrics_of(
    model: nn.Module,
    best: Epoch,
    num_classes: int,
    measured: Mapping[str, tuple[Examples, Sequence[str]]],
    reporter: Reporter,
    team: Team = SINGLE,
) -> dict[str, Any]:
    """Evaluate the network on each set, and judge whether it has learnt.

    best: the epoch that the weights come from. num_classes: outputs of the network. measured: examples and class names,
    in the order of the class indices, of "training", and of "validation" and "test" if there are any.
    team: as of `evaluate`; the metrics of its first process are complete.
    """
    device = next(model.parameters()).device
    metrics: dict[str, Any] = {"epoch": best.epoch}
    held_out: dict[str, HeldOut] = {}
    total = sum(-(-len(examples) // team.of) for examples, _ in measured.values())  # those of the first process
    with reporter.progress("evaluating", total, "images") as progress:
        for name, (examples, names) in measured.items():
            if name == "training":
                evaluation = evaluate(model, examples.on_device(device), num_classes, progress.advance, team)
                metrics[name] = evaluation.summary()
            else:
                logits = logits_of(model, examples.on_device(device), num_classes, progress.advance, team)
                if logits is not None:
                    held_out[name] = logits
                    metrics[name] = evaluation_of(*logits).report(names)
    return {**metrics, "learnt": evidence_in(metrics).learnt, "calibration": calibration_in(held_out)}

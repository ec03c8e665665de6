"""Where a project stands, ready for JSON."""

from typing import Any

from dfal_cli.statistics.control import Estimate, Found
from dfal_cli.steps.control_slices import Control
from dfal_cli.steps.rounds import Round
from dfal_cli.steps.status.gathering import Outlook, Status
from dfal_cli.steps.status.words import line, news


def details_of(status: Status) -> dict[str, Any]:
    """Return all numbers by name, and what they tell in one line."""
    control = status.control
    return {
        "line": line(status),
        "news": news(status),
        "classes": status.counts,
        "rare": status.rare,
        "rounds": [_round(each, control) for each in status.rounds],
        "control": control and _control(control),
        "forecast": _outlook(status.outlook, status.target),
        "stopping": {name: verdict._asdict() for name, verdict in status.rules.items()},
        "training_seconds": status.training_seconds,
        "people_seconds": status.people_seconds,
    }


def _round(one: Round, control: Control | None) -> dict[str, Any]:
    estimate = control.by_round.get(one.number) if control else None
    measured = {
        each.kind: {"accuracy": each.accuracy.share, "interval": each.accuracy.interval, "images": each.accuracy.images}
        for each in one.measured
    }
    control_slice = estimate and _estimate(estimate)
    return {"round": one.number, "labelled": one.labelled, "accuracy": measured, "control": control_slice}


def _control(control: Control) -> dict[str, Any]:
    return {
        "drawn": control.drawn,
        "answered": control.answered,
        "round": control.newest_round,
        "newest": control.newest and _estimate(control.newest),
        "mean_of_rounds": control.together and _estimate(control.together),
        "mistakes": control.mistakes and _found(control.mistakes),
        "rare": control.rare and _found(control.rare),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    named = estimate._asdict()
    return {"accuracy": named.pop("share"), **named}


def _found(found: Found) -> dict[str, Any]:
    return {**found._asdict(), "more": found.more}


def _outlook(outlook: Outlook, target: float) -> dict[str, Any]:
    known: dict[str, Any] = {"target": target, "reached": outlook.reached, "problem": outlook.problem}
    if outlook.forecast:
        labels, (low, high), law = outlook.forecast
        known |= {"labels": labels, "interval": [low, high], "curve": law._asdict()}
    if outlook.curve:
        known["measured_on"] = outlook.curve[-1][1].kind
    return known

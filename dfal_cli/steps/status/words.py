"""Where a project stands, in words: one screen, and one line for a nightly log."""

import math
from collections.abc import Iterator

from dfal_cli.errors import listed, plural
from dfal_cli.statistics.control import Estimate, Found
from dfal_cli.statistics.intervals import Interval
from dfal_cli.statistics.stopping import RULES
from dfal_cli.steps.control_slices import Control
from dfal_cli.steps.rounds import CONTROL_SLICE, CROSS_VALIDATION, HELD_OUT, TEST, VALIDATION_FILE
from dfal_cli.steps.status.gathering import Status

KINDS = (TEST, VALIDATION_FILE, CROSS_VALIDATION, HELD_OUT, CONTROL_SLICE)
"""What accuracies are measured on, in the order of columns."""

MOST_ROUNDS, MOST_CLASSES = 8, 12
"""Numbers of rounds and classes that fit on a screen; the page has all."""

RARE_MARK = "rare"

ANSWERS = {True: "holds", False: "does not hold", None: "not known yet"}
"""Whether a stopping rule holds."""

DURATIONS = ((3600, "hour"), (60, "minute"), (1, "second"))


def screen(status: Status) -> list[str]:
    """Return the lines of the screen."""
    parts = [
        _counts(status), _classes(status), _accuracies(status), _control(status), _outlook(status), _rules(status),
        [f"time: {time_in_words(status)}"],
    ]  # fmt: skip
    return [line for part in parts for line in part]


def line(status: Status) -> str:
    """Return where the project stands in one line."""
    said = f"{status.labelled:,} {plural(status.labelled, 'label')}"
    if status.left is not None:
        said += f", {status.left:,} {plural(status.left, 'image')} left"
    if status.outlook.curve and (newest := status.outlook.curve[-1].measured).kind != CONTROL_SLICE:
        said += f"; {newest.kind} {percent_with(newest.accuracy.share, newest.accuracy.interval)}"
    return "; ".join(filter(None, (said, news(status))))


def news(status: Status) -> str:
    """Return what the rounds together tell: the accuracy on the pool, the forecast and the stopping rules that hold."""
    said = []
    if status.control and (estimate := status.control.together or status.control.newest):
        mean = f", mean of {estimate.rounds} rounds" if estimate.rounds > 1 else ""
        said.append(f"{CONTROL_SLICE}{mean}: {percent_with(estimate.share, estimate.interval)} of the pool correct")
    if status.outlook.forecast or status.outlook.reached:
        said.append(outlook_in_words(status))
    holding = [name for name, verdict in status.rules.items() if verdict.holds and RULES[name].suffices]
    if holding:
        said.append(f"you may stop: {'; '.join(RULES[name].help for name in holding)}")
    return "; ".join(said)


def percent_with(share: float, interval: Interval) -> str:
    """Return `88.5 % (84 to 92)`."""
    return f"{100 * share:.1f} % ({100 * interval[0]:.0f} to {100 * interval[1]:.0f})"


def outlook_in_words(status: Status) -> str:
    """Return how many more labels the target needs, or why that is not known."""
    outlook, goal = status.outlook, f"{100 * status.target:g} %"
    if outlook.reached:
        return f"{goal} is reached"
    if outlook.forecast is None:
        return f"labels for {goal}: unknown, {outlook.problem}"
    present = outlook.curve[-1].labels
    labels, (low, high), law = outlook.forecast
    ceiling = f"{goal} lies above the ceiling of the fitted curve, {100 * law.ceiling:.1f} %"
    if math.isinf(low):
        return f"{ceiling}: more labels of this kind do not lead there"
    least = f"{_rounded(low - present):,}"
    if math.isinf(labels):
        return f"{ceiling}; at least {least} more labels"
    more = f"about {_rounded(labels - present):,} more labels for {goal}"
    if status.left is not None and labels - present > status.left:
        more += " (more than there are images left)"
    if math.isinf(high):
        return f"{more}, at least {least}; no upper limit is known yet"
    return f"{more}, between {least} and {_rounded(high - present):,}"


def time_in_words(status: Status) -> str:
    """Return how long was trained, and how long people have labelled on the page of `dfal label`."""
    trained, people = status.training_seconds, status.people_seconds
    parts = [
        "no training is recorded" if trained is None else f"{duration(trained)} of training",
        "the time of labelling is recorded by `dfal label` only" if people is None
        else f"{duration(people)} of labelling with `dfal label`",
    ]  # fmt: skip
    return "; ".join(parts)


def duration(seconds: float) -> str:
    """Return a duration in words."""
    length, unit = next((each for each in DURATIONS if seconds >= 2 * each[0]), DURATIONS[-1])
    count = round(seconds / length)
    return f"{count:,} {plural(count, unit)}"


def found_in_words(found: Found, what: str) -> str:
    """Return how much more the strategy found than random queries would have."""
    low, high = found.interval
    return (
        f"{what} among {found.queries:,} queries of the strategy: {found.found:,}; "
        f"as many random ones would have found about {found.at_random:.0f} ({low:.0f} to {high:.0f})"
    )


def accuracy_rows(status: Status) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the rows of the table of accuracies by round."""
    found = {one.kind for each in status.rounds for one in each.measured}
    if status.control and status.control.by_round:
        found.add(CONTROL_SLICE)
    kinds = [kind for kind in KINDS if kind in found]
    rows = []
    for each in status.rounds:
        cells = {one.kind: percent_with(one.accuracy.share, one.accuracy.interval) for one in each.measured}
        estimate = status.control.by_round.get(each.number) if status.control else None
        if estimate:
            cells[CONTROL_SLICE] = f"{percent_with(estimate.share, estimate.interval)}, {estimate.images} images"
        if cells:
            rows.append([str(each.number), f"{each.labelled or '?'}", *(cells.get(kind, "") for kind in kinds)])
    return ["round", "labels", *kinds], rows


def control_lines(control: Control) -> list[str]:
    """Return what the control slices tell."""
    said = [f"{control.answered} of {control.drawn} random control images are answered and usable"]
    if control.newest:
        said.append(f"accuracy of the model of round {control.newest_round} on its pool: {_estimate(control.newest)}")
    if control.together:
        models = f"the models of {control.together.rounds} rounds on their pools"
        said.append(f"mean accuracy of {models}: {_estimate(control.together)}")
    if control.mistakes:
        said.append(found_in_words(control.mistakes, "mistakes of the model"))
    if control.rare:
        said.append(found_in_words(control.rare, "images of rare classes"))
    return said


def rule_lines(status: Status) -> list[tuple[str, str, str]]:
    """Return name, answer and reason of each stopping rule."""
    return [(name, ANSWERS[verdict.holds], verdict.reason) for name, verdict in status.rules.items()]


def _estimate(estimate: Estimate) -> str:
    images = f"{estimate.images} control {plural(estimate.images, 'image')}"
    return f"{percent_with(estimate.share, estimate.interval)}, by {images}"


def _counts(status: Status) -> Iterator[str]:
    left = "unknown (name --images or --embeddings)" if status.left is None else f"{status.left:,}"
    yield f"labelled {status.labelled:,}, unusable {status.unusable:,}, left {left}"


def _classes(status: Status) -> Iterator[str]:
    shown = listed((f"{name} ({count:,})" for name, count in status.counts.items()), MOST_CLASSES)
    yield f"{len(status.counts)} {plural(len(status.counts), 'class', 'classes')}: {shown}"
    if status.rare:
        yield f"rare: {listed((f'{name} ({status.counts[name]})' for name in status.rare), MOST_CLASSES)}"


def _accuracies(status: Status) -> Iterator[str]:
    heads, rows = accuracy_rows(status)
    if not rows:
        return
    table = [heads, *rows[-MOST_ROUNDS:]]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    yield f"accuracy (95 % interval){f', the last {MOST_ROUNDS} rounds' if len(rows) > MOST_ROUNDS else ''}"
    for row in table:
        yield "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def _control(status: Status) -> Iterator[str]:
    if status.control:
        yield from control_lines(status.control)


def _outlook(status: Status) -> Iterator[str]:
    curve, words = status.outlook.curve, outlook_in_words(status)
    yield f"{words} ({curve[-1].measured.kind})" if curve else words


def _rules(status: Status) -> Iterator[str]:
    yield from (f"stopping rule {name}: {answer}: {reason}" for name, answer, reason in rule_lines(status))


def _rounded(number: float) -> int:
    """Return a number of labels with two digits: a forecast knows no more."""
    if number < 1:
        return max(0, round(number))
    digits = 1 - math.floor(math.log10(number))
    return round(round(number, min(digits, 0)))

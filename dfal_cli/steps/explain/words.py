"""The facts about an image in plain words."""

from collections.abc import Iterator

from dfal_cli.errors import plural
from dfal_cli.pages.preview_words import guess, order
from dfal_cli.schemas import CROSSED, SKIPPED
from dfal_cli.steps.explain.facts import Facts, is_unusable
from dfal_cli.steps.explain.options import ExplainOptions
from dfal_cli.strategies import STRATEGIES

HASH_SHOWN = 12
MARGIN_SETTINGS = ("estimator", "norm", "max_iterations", "overshoot", "classes", "clip", "seed")


def verdict(facts: Facts, options: ExplainOptions) -> str:
    """Say whether the image was asked about, and why."""
    if options.queries is None:
        return f"{options.scores}: scores only; name a list with --queries to learn whether the image was asked about"
    if facts.query is not None:
        answered = f"; the answer is {facts.query.answer}" if facts.query.answer else ""
        return f"asked about: rank {facts.query.rank} of {facts.query.count} in {options.queries}{answered}"
    return f"not asked about in {options.queries}: {_why_not(facts)}"


def _why_not(facts: Facts) -> str:
    if facts.label:
        return f"it is {'marked ' if is_unusable(facts) else 'labelled '}{facts.label} in {facts.labelled_in}"
    if facts.excluded_by:
        return f"it is excluded by {facts.excluded_by}"
    if facts.is_scored is False:
        return "it was not in the pool when the pool was scored: labelled, excluded, not drawn, or added since"
    return _why_others(facts)


def _why_others(facts: Facts) -> str:
    """Say why the strategy chose other images of the pool."""
    if facts.scores.get("outcome") == SKIPPED and facts.strategy and STRATEGIES[facts.strategy].nearest:
        return "its margin was not computed, because it cannot be among the smallest (--nearest)"
    if facts.rank_would_be is not None:
        rank, length = facts.rank_would_be
        return f"others come first; it would be number {rank:,} of {length:,}"
    if facts.nearest_query is not None and facts.strategy:
        return f"{facts.strategy} preferred others; see the nearest image of the list"
    return "others were chosen"


def lines(facts: Facts, options: ExplainOptions) -> list[str]:
    """Return the explanation, line by line."""
    return [facts.image, verdict(facts, options), *_reasons(facts), *_neighbours(facts), *_origin(facts)]


def reasons(facts: Facts) -> list[str]:
    """Return what speaks for asking about the image."""
    return list(_reasons(facts))


def origin(facts: Facts) -> list[str]:
    """Return which network and which settings stand behind it."""
    return list(_origin(facts))


def _reasons(facts: Facts) -> Iterator[str]:
    if facts.query is not None and facts.query.is_control:
        yield "drawn at random, to measure the accuracy on the pool (--control); its rank says nothing"
    elif facts.strategy in STRATEGIES:
        yield f"strategy {facts.strategy}: {STRATEGIES[facts.strategy].help}; {order(facts.strategy)}"
    if facts.query is not None and facts.label:
        yield f"labelled since: {facts.label} in {facts.labelled_in}"
    if said := guess(facts.scores):
        sure = facts.scores.get("confidence")
        probability = f", with a probability of {100 * sure:.0f} %" if sure is not None and said[0] == "b" else ""
        predicted = f"; predicted {facts.scores['predicted']}{probability}" if probability else ""
        yield f"{said}{predicted}"
    for name, place in facts.places.items():
        other = facts.scores.get("crossing_class")
        where = f" to {other}, in {facts.space} space" if name == "margin" else ""
        smaller = _share(place.smaller, place.known)
        usual = f"{smaller} of {place.known:,} are smaller, half are below {place.median:.4g}"
        yield f"{name.replace('_', ' ')} {place.value:.4g}{where}: {usual}"
    if facts.scores and facts.scores.get("outcome") not in (CROSSED, None):
        yield f"margin unknown: {facts.scores['outcome']}"
    if facts.share is not None:
        images = plural(facts.share.images, "image")
        yield (
            f"stands for {facts.share.images:,} {images} of a pool of {facts.share.pool:,}: those to which no other "
            "image of the list and no labelled image is nearer"
        )
    if facts.nearest_query is not None:
        near = facts.nearest_query
        yield f"nearest image of the list: {near.image}, at a distance of {near.distance:.3f}"


def _share(part: int, whole: int) -> str:
    """The share in percent, with a digit more where it would be 0 or 100 otherwise."""
    percent = 100 * part / max(whole, 1)
    return f"{percent:.0f} %" if 1 <= percent <= 99 or part in (0, whole) else f"{percent:.1f} %"


def _neighbours(facts: Facts) -> Iterator[str]:
    if facts.nearest_labelled:
        yield "nearest labelled images, by the distance of embeddings:"
    for near in facts.nearest_labelled:
        yield f"  {near.distance:.3f}  {near.label}  {near.image}"


def _origin(facts: Facts) -> Iterator[str]:
    checkpoint = facts.scored_with.get("checkpoint_sha256")
    if checkpoint:
        classes = len(facts.scored_with["classes"])
        yield f"scored by the checkpoint {checkpoint[:HASH_SHOWN]}... (sha256), {classes} classes"
    margins = {"estimator": facts.scored_with.get("estimator"), **facts.scored_with.get("settings", {})}
    told = [f"{name.replace('_', ' ')} {margins[name]}" for name in MARGIN_SETTINGS if margins.get(name) is not None]
    if told:
        yield f"margins: {', '.join(told)}"
    chosen = [f"{name.replace('_', ' ')} {value}" for name, value in sorted(facts.settings.items()) if value]
    if chosen:
        yield f"selection: {', '.join(chosen)}"

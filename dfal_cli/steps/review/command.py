"""review: list the labels that are probably wrong, to be answered anew."""

import contextlib
import math
from collections.abc import Callable
from functools import partial

from dfal_cli.errors import plural
from dfal_cli.images import open_images
from dfal_cli.statistics.label_errors import Probabilities
from dfal_cli.steps.option import settings_of
from dfal_cli.steps.query_files import write_list
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.review.checks import check
from dfal_cli.steps.review.folds import probabilities_of_heads, probabilities_of_networks
from dfal_cli.steps.review.labelled import Labelled, embedded_labels, labels_of_images
from dfal_cli.steps.review.listing import Listing, listing_of
from dfal_cli.steps.review.options import ReviewOptions
from dfal_cli.steps.review.outputs import existing_rows, write_metadata
from dfal_cli.system.files import locked
from dfal_cli.system.fingerprints import file_state
from dfal_cli.system.reporting import Reporter


def review(options: ReviewOptions, reporter: Reporter) -> Result:
    """Write a query list of labelled images whose labels are probably wrong. No label is changed.

    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    with contextlib.ExitStack() as opened:
        opened.enter_context(locked(options.out, options.wait, reporter.note))  # taken before anything is read
        labelled, cross_validate = _opened(options, opened, reporter)
        inputs = {"settings": settings_of(options), **labelled.inputs}
        state = file_state(str(options.out))
        rows = existing_rows(options, inputs)
        if rows is not None:
            return up_to_date([options.out], {"labelled": len(labelled.targets), "listed": rows})
        listing = listing_of(labelled, cross_validate(), options.count)
        write_list(options.out, listing.rows, state)
        write_metadata(options, inputs)
    details = {"accuracy": None if math.isnan(listing.accuracy) else round(listing.accuracy, 4)}
    return Result([options.out], _summary(listing), listing.counts, details)


def _opened(
    options: ReviewOptions, opened: contextlib.ExitStack, reporter: Reporter
) -> tuple[Labelled, Callable[[], Probabilities]]:
    """Return the labelled images, and a function that computes their out-of-sample probabilities."""
    if options.embeddings is not None:
        labelled, vectors = embedded_labels(options, options.embeddings, reporter)
        return labelled, partial(probabilities_of_heads, labelled, vectors, reporter)
    assert options.images is not None  # guaranteed by `check`
    source = opened.enter_context(
        open_images(
            None, options.images, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
        )
    )  # fmt: skip
    labelled = labels_of_images(options, source, reporter)
    return labelled, partial(probabilities_of_networks, options, source, labelled, reporter)


def _summary(listing: Listing) -> str:
    counts = listing.counts
    parts = [f"{counts['listed']} of {counts['labelled']} labels to look at again"]
    parts.append(f"{counts['doubtful']} {plural(counts['doubtful'], 'is', 'are')} doubtful by cross-validation")
    if counts["copies"]:
        parts.append(f"{counts['copies']} images have copies with other labels")
    if counts["excluded"]:
        parts.append(f"{counts['excluded']} excluded")
    if counts["not_judged"]:
        parts.append(f"{counts['not_judged']} cannot be judged, because no other image has their class")
    if not math.isnan(listing.accuracy):
        parts.append(f"{100 * listing.accuracy:.1f} % of all labels are predicted")
    return "; ".join(parts)

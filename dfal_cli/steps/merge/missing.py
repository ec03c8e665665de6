"""Rows of a query list whose images no longer exist, such as photos that were deleted while the list was answered."""

import itertools

import pandas as pd

from dfal_cli.errors import plural
from dfal_cli.schemas import IMAGE, LABEL, SKIP
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import ImageNames

LEAVE_OUT = "leave-out"
ON_MISSING = ("error", LEAVE_OUT)


def without_missing_images(
    options: MergeOptions, queries: pd.DataFrame, labels: pd.DataFrame, names: ImageNames | None, reporter: Reporter
) -> pd.DataFrame:
    """Return the query list without the rows of missing images, with a warning, if `--on-missing leave-out`.

    Rows marked __skip__ stay. All rows stay, to be refused later, if a missing image exists under a similar name, or if
    none of the images in the list and in the labels file exists: then the names or the image root are wrong.
    """
    if options.on_missing != LEAVE_OUT or names is None:
        return queries
    is_gone = ~queries[IMAGE].map(lambda image: names.is_there(names.on_disk(image))).astype(bool)
    is_gone &= queries[LABEL] != SKIP
    gone = queries.loc[is_gone, IMAGE]
    known = itertools.chain(queries.loc[~is_gone, IMAGE], labels[IMAGE])
    if gone.empty or names.counterpart(gone) or not any(names.is_there(names.on_disk(image)) for image in known):
        return queries
    missing = names.missing_in_words(options.queries, gone, len(queries))
    reporter.warn(f"{missing}; {plural(len(gone), 'its row is', 'their rows are')} left out")
    return queries[~is_gone]

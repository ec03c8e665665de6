"""Answers that are a folder per class."""

import os
from pathlib import Path

import pandas as pd

from dfal_cli.errors import UsageError
from dfal_cli.images import list_images
from dfal_cli.images.pool import report_unread, unreadable_in_words
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import labels_from_folders


def answers_of_folders(queries: Path, root: Path, reporter: Reporter, *, follow_links: bool) -> pd.DataFrame:
    """The labels that the folders in `queries` give the images in them, which are named relative to the image root.

    Raises UsageError if the folder is not under the root, or gives no label.
    """
    listing = list_images(root, below=_relative(queries, root), follow_links=follow_links)
    answers = labels_from_folders(root, listing.images)
    if answers.table.empty:
        why = f": {unreadable_in_words(listing.unreadable)}" if listing.unreadable else ""
        raise UsageError(f"{queries}: is a folder, not a file (--queries), and has no folder per class in it{why}")
    report_unread(queries, listing, reporter)
    if answers.left_out:
        reporter.warn(answers.left_out)
    return answers.table


def _relative(queries: Path, root: Path) -> str:
    """The folder as seen from the image root: as it is named, or else where links lead. Raises UsageError."""
    for absolute in (os.path.abspath, os.path.realpath):
        below, top = Path(absolute(queries)), Path(absolute(root))
        if below.is_relative_to(top):
            return "" if below == top else below.relative_to(top).as_posix()
    raise UsageError(f"{queries}: is not under --images {root}, relative to which images are named")

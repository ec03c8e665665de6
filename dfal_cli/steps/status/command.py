"""status: where a project stands."""

import contextlib

from dfal_cli.steps.result import Result
from dfal_cli.steps.status.checks import check
from dfal_cli.steps.status.details import details_of
from dfal_cli.steps.status.gathering import gather
from dfal_cli.steps.status.options import StatusOptions
from dfal_cli.steps.status.words import screen
from dfal_cli.system.files import locked
from dfal_cli.system.reporting import Reporter


def status(options: StatusOptions, reporter: Reporter) -> Result:
    """Report where a project stands; with --page, write it as a page, too.

    Raises UsageError, DataError or TryAgainError, as documented for the command; nothing but the page is written.
    """
    check(options)
    with locked(options.page, options.wait, reporter.note) if options.page else contextlib.nullcontext():
        with reporter.busy("reading"):
            found = gather(options, reporter)
        if options.page:
            from dfal_cli.steps.status.page import write_page_of

            write_page_of(options.page, found)
    counts = {"labelled": found.labelled, "unusable": found.unusable}
    if found.left is not None:
        counts["left"] = found.left
    outputs = [options.page] if options.page else []
    return Result(outputs, "", counts, details_of(found), report=screen(found))

"""Images that cannot be read: listed beside an output, or too many to go on."""

from collections.abc import Sequence
from pathlib import Path

from dfal_cli.errors import DataError
from dfal_cli.schemas import UNREADABLE_COLUMNS, UNREADABLE_SUFFIX
from dfal_cli.system.files import beside
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import write_rows

Unreadable = Sequence[tuple[str, str]]
"""Image and reason."""


def stop_if_too_many(out: Path, unreadable: Unreadable, total: int, max_unreadable: float) -> None:
    """If more than the fraction --max-unreadable is unreadable, list the images and raise DataError."""
    if len(unreadable) > max_unreadable * total:
        listing = _write_listing(out, unreadable)
        raise DataError(
            f"{len(unreadable)} of {total} images cannot be read (see {listing} for the reasons); "
            "repair them, or raise --max-unreadable"
        )


def report_unreadable(
    out: Path, unreadable: Unreadable, total: int, reporter: Reporter, others: Unreadable = ()
) -> list[Path]:
    """List unreadable images in <out>.unreadable.csv with a warning, or remove an earlier list.

    others: further images to list, of which the caller warns. Returns the files written.
    """
    if not unreadable and not others:
        beside(out, UNREADABLE_SUFFIX).unlink(missing_ok=True)
        return []
    listing = _write_listing(out, [*unreadable, *others])
    if unreadable:
        reporter.warn(f"{len(unreadable)} of {total} images cannot be read; see {listing} for the reasons")
    return [listing]


def _write_listing(out: Path, unreadable: Unreadable) -> Path:
    listing = beside(out, UNREADABLE_SUFFIX)
    write_rows(listing, UNREADABLE_COLUMNS, sorted(unreadable))
    return listing

"""<out>.unreadable.csv: the images that could not be read, and why."""

from collections.abc import Sequence
from pathlib import Path

from dfal_cli.errors import DataError
from dfal_cli.schemas import UNREADABLE_COLUMNS, UNREADABLE_SUFFIX
from dfal_cli.system.files import beside
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import write_rows

Unreadable = Sequence[tuple[str, str]]
"""Image and reason."""


def stop_if_too_many(out: Path, unreadable: Unreadable, total: int, most: float) -> None:
    """List them beside `out`, and raise DataError, if they are more than the share `most`: more is wrong than them."""
    if len(unreadable) > most * total:
        raise DataError(
            f"{len(unreadable)} of {total} images cannot be read ({_list(out, unreadable)} has the reasons); "
            "mend them or raise --max-unreadable"
        )


def report_unreadable(out: Path, unreadable: Unreadable, total: int, reporter: Reporter) -> list[Path]:
    """List them beside `out` and say so; remove an earlier list if there are none. Returns what was written."""
    if not unreadable:
        beside(out, UNREADABLE_SUFFIX).unlink(missing_ok=True)
        return []
    listing = _list(out, unreadable)
    reporter.warn(f"{len(unreadable)} of {total} images cannot be read; {listing} has the reasons")
    return [listing]


def _list(out: Path, unreadable: Unreadable) -> Path:
    listing = beside(out, UNREADABLE_SUFFIX)
    write_rows(listing, UNREADABLE_COLUMNS, sorted(unreadable))
    return listing

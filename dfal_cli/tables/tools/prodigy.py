"""Prodigy: the JSON lines of `prodigy db-out`, from its interfaces `choice` and `classification`.

https://prodi.gy/docs/api-interfaces#choice. Each line has an `answer`: accept, reject or ignore.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dfal_cli.errors import listed
from dfal_cli.schemas import IMAGE, LABEL, SKIP
from dfal_cli.tables.tools.forms import Answer, Form, FormError
from dfal_cli.tables.tools.labelstudio import DFAL_IMAGE

ANSWER, ACCEPT, IGNORE = "answer", "accept", "ignore"


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and ANSWER in value and (IMAGE in value or "path" in value)


def _answers(rows: Sequence[Mapping[str, Any]]) -> Iterator[Answer]:
    for number, row in enumerate(rows, 1):
        place = f"line {number}"
        dfal_image = str(row.get(DFAL_IMAGE) or "")
        yield Answer(_image_of(row, place), _label_of(row, place), place, dfal_image, time=_time_of(row))


def _image_of(row: Mapping[str, Any], place: str) -> str:
    """Return the file or URL; an image that is stored in the line itself is named by `path` or `meta`."""
    meta = row.get("meta")
    named = (row.get(IMAGE), row.get("path"), (meta if isinstance(meta, dict) else {}).get("file"))
    found = next((name for name in named if isinstance(name, str) and name and not name.startswith("data:")), "")
    if not found:
        raise FormError(f"{place}: the image is stored in the file, without its path; load images with --remove-base64")
    return found


def _label_of(row: Mapping[str, Any], place: str) -> str:
    """Return the accepted label. A rejected one says only what the image is not."""
    if row[ANSWER] == IGNORE:
        return SKIP
    if row[ANSWER] != ACCEPT:
        return ""
    accepted = row.get(ACCEPT, [row[LABEL]] if LABEL in row else [])
    if len(accepted) > 1:
        raise FormError(f"{place}: {len(accepted)} answers ({listed(map(str, accepted))}); an image has one label")
    return str(accepted[0]) if accepted else ""


def _time_of(row: Mapping[str, Any]) -> str:
    """Return the time in a form that sorts."""
    time = row.get("_timestamp")
    return f"{time:020.3f}" if isinstance(time, int | float) else ""


FORMS = (
    Form("Prodigy JSON lines", "json lines", lambda rows: all(map(_is_row, rows)), _answers),
    Form("Prodigy JSON lines", "json", _is_row, lambda row: _answers([row])),
)

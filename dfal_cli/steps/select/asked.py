"""What a query list asks, and how it was picked: kept beside the list, whatever people and spreadsheets do to it.

Rows may come back sorted or filtered, columns added or moved, numbers rewritten, labels filled in: it is still that
list as long as it names no image that was not asked about.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dfal_cli import __version__
from dfal_cli.differences import UNKNOWN, how_else, origin
from dfal_cli.errors import DataError, UsageError
from dfal_cli.files import atomic_output, beside
from dfal_cli.fingerprints import canonical_json, settings_of
from dfal_cli.kept import read_json
from dfal_cli.schemas import CONTRACT, IMAGE, META_SUFFIX
from dfal_cli.steps.select.candidates import Candidates
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.tables import answers_in, read_queries, to_csv, write_csv

WITHOUT_EFFECT = (
    "out", "scores", "images", "follow_links", "labels", "exclude", "preview", "round", "wait", "force",
)  # fmt: skip
"""Options that do not shape a list, or whose effect is the images that it asks about."""

OTHERWISE = {"scores": "from other --scores"}
"""How to say that a part is not what it was."""


def made_from(options: SelectOptions, candidates: Candidates, queries: pd.DataFrame) -> dict[str, Any]:
    """What makes a list the one that it is, ready for JSON."""
    return {
        "settings": settings_of(options, WITHOUT_EFFECT),
        "scores": candidates.made_from,
        "images": sorted(queries[IMAGE]),
    }


def stands_there(options: SelectOptions, queries: pd.DataFrame, shaped_by: Mapping[str, Any]) -> bool:
    """Whether the list is there already, in whatever shape.

    Raises UsageError if another one is in the way; one that holds answers is never given up. DataError if what is in
    the way cannot be read.
    """
    if not options.out.exists():
        return False
    before = _list_there(options.out)
    told, answers = _what_it_asks(options, before), answers_in(before)
    if told is None:
        same = len(before) > 0 and set(before[IMAGE]) <= set(queries[IMAGE])
    else:
        same = told["made_from"] == origin(shaped_by)["made_from"]
    if same:
        return bool(answers) or not options.force or to_csv(before) == to_csv(queries)
    if answers:
        raise UsageError(
            f"{options.out}: holds {answers} answers, and {_difference(told, shaped_by)}; it is not overwritten: "
            "merge it, or name another --out"
        )
    if not options.force:
        raise UsageError(
            f"{options.out}: exists, and {_difference(told, shaped_by)}; choose another --out, or --force to replace it"
        )
    return False


def _list_there(out: Path) -> pd.DataFrame:
    try:
        return read_queries(out)
    except DataError as error:  # there may be answers in it: not even --force replaces it
        raise DataError(f"{error}; mend it, or delete it if nothing in it is needed") from None


def write_list(out: Path, queries: pd.DataFrame) -> None:
    """Write a new list; at no moment does it stand beside what another one asked."""
    beside(out, META_SUFFIX).unlink(missing_ok=True)
    write_csv(out, queries)


def keep_what_it_asks(out: Path, shaped_by: Mapping[str, Any]) -> None:
    """Write that beside the list, unless something is there."""
    told = beside(out, META_SUFFIX)
    if not told.exists():
        with atomic_output(told) as temporary:
            metadata = {"contract": CONTRACT, "dfal": __version__, **origin(shaped_by)}
            temporary.write_text(canonical_json(metadata) + "\n", encoding="utf-8")


def _difference(told: Mapping[str, Any] | None, shaped_by: Mapping[str, Any]) -> str:
    """What is not the same about the list that is there."""
    if told is None:
        return "asks about other images"
    how = how_else(told, shaped_by, OTHERWISE)
    if how == UNKNOWN:
        return "asks about other images: some were labelled, excluded or deleted since, or are new"
    return f"was made {how}"


def _what_it_asks(options: SelectOptions, queries: pd.DataFrame) -> dict[str, Any] | None:
    """What stands beside a list, if it is about this one; None for a list that came alone."""
    match told := read_json(beside(options.out, META_SUFFIX)):
        case {"made_from": str(), "parts": {"images": list(asked)}}:
            if set(queries[IMAGE]) <= {image for image in asked if isinstance(image, str)}:
                return dict(told)
    return None

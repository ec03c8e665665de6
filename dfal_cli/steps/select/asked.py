"""What a query list asks, and how it was picked: kept beside the list, whatever people and spreadsheets do to it.

Rows may come back sorted or filtered, columns added or moved, numbers rewritten, labels filled in: it is still that
list as long as it names no image that was not asked about. Images are compared in Unicode's NFC: macOS saves é as two
characters. A list that has come without that record is known by its images.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pandas as pd

from dfal_cli import __version__
from dfal_cli.errors import DataError, TryAgainError, UsageError, listed
from dfal_cli.schemas import CONTRACT, IMAGE, LABEL, META_SUFFIX
from dfal_cli.steps.option import settings_of
from dfal_cli.steps.select.candidates import Candidates
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.system.differences import UNKNOWN, describe_changes, provenance
from dfal_cli.system.files import atomic_output, beside
from dfal_cli.system.fingerprints import FileState, canonical_json, file_state
from dfal_cli.system.state_files import read_json
from dfal_cli.tables import count_answers, is_blank, read_labels_files, read_queries, to_csv, write_csv

CHANGE_TEXTS = {"scores": "from other --scores"}
"""How to say that a part is not what it was."""


def made_from(options: SelectOptions, candidates: Candidates, queries: pd.DataFrame) -> dict[str, Any]:
    """What makes a list the one that it is, ready for JSON."""
    return {
        "settings": settings_of(options),
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
    told, answers = _what_it_asks(options, before), count_answers(before)
    if told is None:  # without answers, a part may as well be a smaller list of another day
        names, wanted = _names(before[IMAGE]), _names(queries[IMAGE])
        same = names == wanted or (answers > 0 and names <= wanted)
    else:
        same = told["made_from"] == provenance(shaped_by)["made_from"]
    if same:
        return bool(answers) or not options.force or to_csv(before) == to_csv(queries)
    differs = _difference(before, told, shaped_by)
    if answers:
        raise UsageError(
            f"{options.out}: holds {answers} answers, and {differs}; it is not overwritten: "
            f"{_remedy(options, before, answers)}"
        )
    if not options.force:
        raise UsageError(f"{options.out}: exists, and {differs}; choose another --out, or --force to replace it")
    return False


def _list_there(out: Path) -> pd.DataFrame:
    try:
        return read_queries(out)
    except DataError as error:  # there may be answers in it: not even --force replaces it
        raise DataError(f"{error}; mend it, or delete it if nothing in it is needed") from None


def write_list(out: Path, queries: pd.DataFrame, state: FileState | None) -> None:
    """Write a new list; at no moment does it stand beside what another one asked. Raises as `check_unchanged`."""

    def make_way() -> None:
        check_unchanged(out, state)
        beside(out, META_SUFFIX).unlink(missing_ok=True)

    write_csv(out, queries, make_way)


def check_unchanged(out: Path, state: FileState | None) -> None:
    """Raises TryAgainError if the file is not in that state any more: a person may have saved answers in it."""
    if file_state(str(out)) != state:
        raise TryAgainError(f"{out}: another program has written it meanwhile; it is left alone, run the command again")


def keep_what_it_asks(out: Path, shaped_by: Mapping[str, Any]) -> None:
    """Write that beside the list, unless something is there, or the list is only a part of it."""
    told = beside(out, META_SUFFIX)
    if not told.exists() and _names(read_queries(out)[IMAGE]) == _names(shaped_by["images"]):
        with atomic_output(told) as temporary:
            metadata = {"contract": CONTRACT, "dfal": __version__, **provenance(shaped_by)}
            temporary.write_text(canonical_json(metadata) + "\n", encoding="utf-8")


def _difference(before: pd.DataFrame, told: Mapping[str, Any] | None, shaped_by: Mapping[str, Any]) -> str:
    """What is not the same about the list that is there."""
    if told is None:
        asked, wanted = _names(before[IMAGE]), _names(shaped_by["images"])
        is_part = bool(asked) and asked < wanted
        return f"asks about {len(asked)} of these {len(wanted)} images only" if is_part else "asks about other images"
    how = describe_changes(told, shaped_by, CHANGE_TEXTS)
    if how == UNKNOWN:
        return "asks about other images: some were labelled, excluded or deleted since, or are new"
    return f"was made {how}"


def _what_it_asks(options: SelectOptions, queries: pd.DataFrame) -> dict[str, Any] | None:
    """What stands beside a list, if it is about this one; None for a list that came alone."""
    match told := read_json(beside(options.out, META_SUFFIX)):
        case {"made_from": str(), "parts": {"images": list(asked)}}:
            if _names(queries[IMAGE]) <= _names(image for image in asked if isinstance(image, str)):
                return dict(told)
    return None


def _names(images: Iterable[str]) -> set[str]:
    """The images, to be compared."""
    return {normalize("NFC", image) for image in images}


def _remedy(options: SelectOptions, before: pd.DataFrame, answers: int) -> str:
    """What to do about a list with answers that is in the way."""
    answered = before[~is_blank(before[LABEL])]
    if _labels(answered) <= _labels(read_labels_files(options.labels)):
        files = listed(map(str, options.labels))
        return f"its {answers} answers are in {files} already; name another --out, or delete it"
    return "merge it, or name another --out"


def _labels(table: pd.DataFrame) -> set[tuple[str, str]]:
    """The images with their labels, to be compared."""
    return {(normalize("NFC", image), label.strip()) for image, label in zip(table[IMAGE], table[LABEL], strict=True)}

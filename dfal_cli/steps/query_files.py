"""Query lists on disk: a list that holds answers is never overwritten."""

from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

import pandas as pd

from dfal_cli.errors import DataError, TryAgainError, listed, plural
from dfal_cli.schemas import IMAGE, LABEL, META_SUFFIX
from dfal_cli.system.files import beside
from dfal_cli.system.fingerprints import FileState, file_state
from dfal_cli.tables import is_blank, read_labels_files, read_queries, write_csv


def read_existing(out: Path) -> pd.DataFrame:
    """Read the list that an output already holds. Raises DataError if it cannot be read."""
    try:
        return read_queries(out)
    except DataError as error:  # it may hold answers, so --force does not overwrite it
        raise DataError(f"{error}; repair the file, or delete it if it is not needed") from None


def write_list(out: Path, queries: pd.DataFrame, state: FileState | None) -> None:
    """Write a new list, and remove the metadata of the previous one first. Raises as `check_unchanged`."""

    def remove_metadata() -> None:
        check_unchanged(out, state)
        beside(out, META_SUFFIX).unlink(missing_ok=True)

    write_csv(out, queries, remove_metadata)


def check_unchanged(out: Path, state: FileState | None) -> None:
    """Raise TryAgainError if the file has changed since `state`: a person may have saved answers in it."""
    if file_state(str(out)) != state:
        raise TryAgainError(f"{out}: another program changed the file; it is not overwritten, run the command again")


def remedy(labels: Sequence[Path], existing: pd.DataFrame) -> str:
    """What to do about an existing list with answers. labels: the labels files."""
    answered = existing[~is_blank(existing[LABEL])]
    if _labels(answered) <= _labels(read_labels_files(labels)):
        files, answers = listed(map(str, labels)), len(answered)
        return (
            f"its {answers} {plural(answers, 'answer is', 'answers are')} already in {files}; "
            "choose another --out, or delete it"
        )
    return "merge it, or choose another --out"


def _labels(table: pd.DataFrame) -> set[tuple[str, str]]:
    return {(normalize("NFC", image), label.strip()) for image, label in zip(table[IMAGE], table[LABEL], strict=True)}

"""The query list on disk: whether an existing one is up to date, and the metadata that tells.

The metadata file beside a list records what the list was made from. People and spreadsheets may sort or filter rows,
add or move columns, reformat numbers and fill in labels: a file is still that list as long as it names no image the
list did not ask about. Without metadata, a list is recognised by its images. Image names are compared in Unicode NFC,
because macOS saves é as two characters.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from unicodedata import normalize

import pandas as pd

from dfal_cli import __version__
from dfal_cli.errors import UsageError, plural
from dfal_cli.schemas import CONTRACT, IMAGE, META_SUFFIX
from dfal_cli.steps.option import settings_of
from dfal_cli.steps.query_files import read_existing, remedy
from dfal_cli.steps.select.candidates import Candidates
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.system.differences import UNKNOWN, describe_changes, provenance
from dfal_cli.system.files import atomic_output, beside
from dfal_cli.system.fingerprints import canonical_json
from dfal_cli.system.paths import relative_to_file
from dfal_cli.system.state_files import read_json
from dfal_cli.tables import count_answers, read_queries, to_csv

CHANGE_TEXTS = {"scores": "from other --scores", "embeddings": "from other --embeddings"}
"""Descriptions of changed inputs, for messages."""


def list_inputs(options: SelectOptions, candidates: Candidates, queries: pd.DataFrame) -> dict[str, Any]:
    """What determines a query list, ready for JSON."""
    return {
        "settings": settings_of(options),
        **candidates.made_from,
        "images": sorted(queries[IMAGE]),
    }


def is_up_to_date(options: SelectOptions, queries: pd.DataFrame, inputs: Mapping[str, Any]) -> bool:
    """Whether the output already holds this list, possibly sorted, filtered or answered.

    Raises UsageError if it holds another list; a list with answers is not overwritten even with --force.
    Raises DataError if the existing file cannot be read.
    """
    if not options.out.exists():
        return False
    existing = read_existing(options.out)
    metadata, answers = _metadata_of(options, existing), count_answers(existing)
    if _is_same_list(existing, metadata, answers, queries, inputs):
        return bool(answers) or not options.force or to_csv(existing) == to_csv(queries)
    difference = _difference(existing, metadata, inputs)
    if answers:
        raise UsageError(
            f"{options.out}: holds {answers} {plural(answers, 'answer')}, and {difference}; it is not overwritten: "
            f"{remedy(options.labels, existing)}"
        )
    if not options.force:
        raise UsageError(
            f"{options.out}: exists, and {difference}; choose another --out, or use --force to overwrite it"
        )
    return False


def write_metadata(options: SelectOptions, inputs: Mapping[str, Any]) -> None:
    """Write the metadata beside the list, unless they exist or the file holds only part of the list.

    They also name the files that the list was made from, for `explain`.
    """
    path = beside(options.out, META_SUFFIX)
    if not path.exists() and _comparable(read_queries(options.out)[IMAGE]) == _comparable(inputs["images"]):
        with atomic_output(path) as temporary:
            metadata = {"contract": CONTRACT, "dfal": __version__, **provenance(inputs), "files": _files(options)}
            temporary.write_text(canonical_json(metadata) + "\n", encoding="utf-8")


def _files(options: SelectOptions) -> dict[str, list[str]]:
    """The files that the list was made from, relative to its folder, by option."""
    files = {
        "scores": [options.scores] if options.scores else [],
        "embeddings": [options.embeddings] if options.embeddings else [],
        "labels": options.labels, "exclude": options.exclude,
    }  # fmt: skip
    return {name: [relative_to_file(path, options.out) for path in paths] for name, paths in files.items()}


def _is_same_list(
    existing: pd.DataFrame,
    metadata: Mapping[str, Any] | None,
    answers: int,
    queries: pd.DataFrame,
    inputs: Mapping[str, Any],
) -> bool:
    if metadata is not None:
        return bool(metadata["made_from"] == provenance(inputs)["made_from"])
    names, wanted = _comparable(existing[IMAGE]), _comparable(queries[IMAGE])
    # A subset without answers may also be a smaller list of another day.
    return names == wanted or (answers > 0 and names <= wanted)


def _difference(existing: pd.DataFrame, metadata: Mapping[str, Any] | None, inputs: Mapping[str, Any]) -> str:
    """Describe how the existing list differs from the new one."""
    if metadata is None:
        names, wanted = _comparable(existing[IMAGE]), _comparable(inputs["images"])
        is_part = bool(names) and names < wanted
        return f"asks about only {len(names)} of these {len(wanted)} images" if is_part else "asks about other images"
    change = describe_changes(metadata, inputs, CHANGE_TEXTS)
    if change == UNKNOWN:
        return "asks about other images: some have since been labelled, excluded, deleted or added"
    return f"was made {change}"


def _metadata_of(options: SelectOptions, queries: pd.DataFrame) -> dict[str, Any] | None:
    """The metadata beside the list; None if there are none, or if they describe another list."""
    match metadata := read_json(beside(options.out, META_SUFFIX)):
        case {"made_from": str(), "parts": {"images": list(images)}}:
            if _comparable(queries[IMAGE]) <= _comparable(image for image in images if isinstance(image, str)):
                return dict(metadata)
    return None


def _comparable(images: Iterable[str]) -> set[str]:
    return {normalize("NFC", image) for image in images}

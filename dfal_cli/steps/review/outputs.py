"""The review list on disk: whether an existing one is up to date or may be replaced, and its metadata."""

from collections.abc import Mapping
from typing import Any

from dfal_cli import __version__
from dfal_cli.errors import UsageError, plural
from dfal_cli.schemas import CONTRACT, META_SUFFIX
from dfal_cli.steps.query_files import read_existing, remedy
from dfal_cli.steps.review.options import ReviewOptions
from dfal_cli.system.differences import describe_changes, provenance
from dfal_cli.system.files import beside
from dfal_cli.system.state_files import read_json, write_json
from dfal_cli.tables import count_answers

CHANGE_TEXTS = {
    "labels": "from other --labels, or other versions of their images or embeddings",
    "exclude": "with another --exclude",
    "weights": "with other --weights",
}
"""Descriptions of changed inputs, for messages."""


def existing_rows(options: ReviewOptions, inputs: Mapping[str, Any]) -> int | None:
    """Return the number of rows of the output if it was made from these inputs, answered or not; else None.

    Raises UsageError if the output holds another list; one with answers is not overwritten even with --force.
    Raises DataError if it cannot be read.
    """
    if not options.out.exists():
        return None
    existing = read_existing(options.out)
    answers, metadata = count_answers(existing), read_json(beside(options.out, META_SUFFIX)) or {}
    if metadata.get("made_from") == provenance(inputs)["made_from"] and (answers or not options.force):
        return len(existing)
    change = describe_changes(metadata, inputs, CHANGE_TEXTS)
    if answers:
        raise UsageError(
            f"{options.out}: holds {answers} {plural(answers, 'answer')}, and was made {change}; "
            "it is not overwritten: "
            f"{remedy(options.labels, existing)}"
        )
    if not options.force:
        raise UsageError(
            f"{options.out}: exists, and was made {change}; choose another --out, or use --force to overwrite it"
        )
    return None


def write_metadata(options: ReviewOptions, inputs: Mapping[str, Any]) -> None:
    """Write beside the list what it was made from."""
    write_json(
        beside(options.out, META_SUFFIX), {"contract": CONTRACT, "dfal": __version__, **provenance(inputs)}
    )  # fmt: skip

"""A folder of images that a command writes: whether it is up to date, and whether it may be replaced."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dfal_cli import __version__
from dfal_cli.errors import UsageError
from dfal_cli.schemas import CONTRACT
from dfal_cli.system.differences import describe_changes, provenance
from dfal_cli.system.folders import atomic_folder, listing_digest
from dfal_cli.system.state_files import read_json
from dfal_cli.tables.tools.class_folders import RECORD
from dfal_cli.tables.tools.forms import Written

CHANGE_TEXTS = {
    "root": "from the images in {0}",
    "list": "from a list of other images or answers",
    "classes": "with other classes",
    "predictions": "from other predictions",
}
"""Descriptions of changed inputs, for messages."""


def outputs_up_to_date(
    folder: Path, inputs: Mapping[str, Any], command: str, option: str, *, force: bool
) -> list[Path]:
    """Return the outputs if the folder was made from these inputs, also if it has been labelled in since; else [].

    Raises UsageError if the folder must not be replaced: dfal did not write it, it may hold answers, or it was made
    from other inputs and there is no --force.

    command, option: what writes the folder, and the option that names it, for messages.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return []
    record = read_json(folder / RECORD)
    if not isinstance(record, dict) or "made_from" not in record:
        raise UsageError(f"{folder}: exists and was not written by `dfal {command}`; choose another {option}")
    if record["made_from"] == provenance(inputs)["made_from"]:
        return [folder / str(name) for name in record.get("outputs", ())] or [folder]
    if not force:
        change = describe_changes(record, inputs, CHANGE_TEXTS)
        raise UsageError(
            f"{folder}: exists, and was made {change}; choose another {option}, or use --force to overwrite it"
        )
    if record.get("listing") != listing_digest(folder, without=[RECORD]):
        raise UsageError(
            f"{folder}: files have been added, moved or changed since the {command}, and may be answers; "
            f"choose another {option}, or remove the folder"
        )
    return []


def written_into(folder: Path, write: Callable[[Path], Written], inputs: Mapping[str, Any]) -> list[Path]:
    """Write the folder atomically, with a record of how it was made, and return the outputs."""
    with atomic_folder(folder) as temporary:
        written = write(temporary)
        record = {
            **provenance(inputs), "contract": CONTRACT, "dfal": __version__, "outputs": list(written.outputs),
            "images": written.image_of, "guesses": written.guesses, "listing": listing_digest(temporary),
        }  # fmt: skip
        (temporary / RECORD).write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return [folder / name for name in written.outputs] or [folder]

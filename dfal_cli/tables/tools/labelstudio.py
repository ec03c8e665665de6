"""Label Studio: tasks and a labelling configuration are written; JSON, JSON_MIN, CSV and TSV are read.

A task carries the image's path (`dfal_image`) beside its URL, and no field named `label`: exports as CSV would mix it
up with the answer. In the flat exports a task with two annotations has two rows, and skipped tasks are missing.
"""

import contextlib
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dfal_cli.errors import listed
from dfal_cli.schemas import IMAGE, LABEL, SKIP
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.tables.tools.documents import Table
from dfal_cli.tables.tools.forms import Answer, Export, Form, FormError, Handover, Written

TASKS_PER_FILE = 5_000
"""Label Studio times out while it imports larger files."""

DFAL_IMAGE, DFAL_RANK = "dfal_image", "dfal_rank"
HOTKEYS = "1234567890qwertyuiopasdfghjklzxcvbnm"
CONFIGURATION = "labels.xml"

ANSWER_FIELDS = (LABEL, "choice", "choices", "class")
"""Names of the answer in flat exports: the name of <Choices> in the labelling configuration."""

IMAGE_FIELDS = (IMAGE, "img", "photo", "picture", "url")
FLAT = {"annotation_id", "annotator", "lead_time"}
"""Columns of every flat export."""


def _write(handed: Handover, folder: Path) -> Written:
    rows = list(handed.rows())
    parts = [rows[start : start + TASKS_PER_FILE] for start in range(0, len(rows), TASKS_PER_FILE)]
    names = [f"tasks-{number:03d}.json" for number in range(1, len(parts) + 1)]
    for name, part in zip(names, parts, strict=True):
        tasks = [_task(handed.root, *row) for row in part]
        (folder / name).write_text(json.dumps(tasks, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (folder / CONFIGURATION).write_bytes(_configuration(handed.classes))
    return Written([CONFIGURATION, *names])


def _task(root: ImageRoot, rank: int, image: str, label: str) -> dict[str, Any]:
    url = f"/data/local-files/?d={quote(f'{Path(root).name}/{image}')}"
    task: dict[str, Any] = {"data": {IMAGE: url, DFAL_IMAGE: image, DFAL_RANK: rank}}
    if label == SKIP:
        task["annotations"] = [{"result": [], "was_cancelled": True}]
    elif label:
        choice = {"from_name": LABEL, "to_name": IMAGE, "type": "choices", "value": {"choices": [label]}}
        task["annotations"] = [{"result": [choice]}]
    return task


def _configuration(classes: Sequence[str]) -> bytes:
    view = Element("View")
    SubElement(view, "Image", name=IMAGE, value=f"${IMAGE}", zoom="true")
    choices = SubElement(view, "Choices", name=LABEL, toName=IMAGE, choice="single", required="true", showInline="true")
    for place, name in enumerate(classes):
        hotkey = {"hotkey": HOTKEYS[place]} if place < len(HOTKEYS) else {}
        SubElement(choices, "Choice", {"value": name, **hotkey})
    indent(view)
    return bytes(tostring(view, encoding="utf-8")) + b"\n"


def _instructions(root: ImageRoot, folder: Path) -> Sequence[str]:
    return (
        "Label Studio shows images of this machine if it is started with",
        "  export LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true",
        f"  export LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={shlex.quote(str(Path(root).parent))}",
        f"create a project whose labelling interface (Code) is {folder / CONFIGURATION}",
        f'add the source storage "Local files" with this absolute path, without syncing it: {root}',
        f"import {folder}/tasks-*.json, one after the other",
    )


EXPORT = Export("Label Studio", _write, _instructions, needs_classes=True, holds_images=False)


def _is_task(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("data"), dict)


def _of_tasks(tasks: Sequence[Mapping[str, Any]]) -> Iterator[Answer]:
    for task in tasks:
        place = f"task {task.get('id')}"
        image, dfal_image = _image_of(task["data"], place), str(task["data"].get(DFAL_IMAGE) or "")
        annotations = [each for each in task.get("annotations") or () if isinstance(each, dict)]
        for annotation in annotations or [{}]:
            label = SKIP if annotation.get("was_cancelled") else _choice(annotation.get("result") or [], place)
            time = str(annotation.get("updated_at") or annotation.get("created_at") or "")
            yield Answer(image, label, place, dfal_image, time=time)


def _choice(results: Sequence[Any], place: str) -> str:
    chosen = [each for each in results if isinstance(each, dict) and each.get("type") == "choices"]
    named = [each for each in chosen if each.get("from_name") == LABEL] or chosen
    names = [name for each in named for name in each.get("value", {}).get("choices", ())]
    return _single(names, place)


def _single(names: Sequence[str], place: str) -> str:
    if len(names) > 1:
        raise FormError(f"{place}: {len(names)} choices ({listed(names)}); an image has one label")
    return str(names[0]) if names else ""


def _image_of(data: Mapping[str, Any], place: str) -> str:
    for field in (*IMAGE_FIELDS, DFAL_IMAGE):
        if isinstance(value := data.get(field), str) and value:
            return value
    raise FormError(f"{place}: no image; its fields are {listed(map(str, data))}")


def _is_flat_row(value: Any) -> bool:
    return isinstance(value, dict) and set(value) >= FLAT


def _of_flat_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[Answer]:
    for row in rows:
        yield _flat_answer(row, f"task {row.get('id')}")


def _of_table(table: Table) -> Iterator[Answer]:
    for place, row in table.rows():
        yield _flat_answer(row, place)


def _flat_answer(row: Mapping[str, Any], place: str) -> Answer:
    value = next((row[field] for field in ANSWER_FIELDS if row.get(field)), "")
    time = str(row.get("updated_at") or row.get("created_at") or "")
    return Answer(_image_of(row, place), _flat_label(value, place), place, str(row.get(DFAL_IMAGE) or ""), time=time)


def _flat_label(value: Any, place: str) -> str:
    """Return the only choice; several are stored as {"choices": [...]}, in CSV as JSON."""
    if isinstance(value, str) and value.startswith('{"choices"'):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    return _single(value.get("choices", ()), place) if isinstance(value, dict) else str(value)


def _all(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda content: isinstance(content, list) and all(map(test, content))


FORMS = (
    Form("Label Studio JSON", "json", _all(_is_task), _of_tasks),
    Form("Label Studio JSON_MIN", "json", _all(_is_flat_row), _of_flat_rows),
    Form("Label Studio CSV or TSV", "table", lambda table: set(table.columns) >= FLAT, _of_table),
)

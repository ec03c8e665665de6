"""Hugging Face: an imagefolder with metadata.csv is written; metadata.csv, .jsonl and .parquet are read.

https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.tables.tools.documents import Table
from dfal_cli.tables.tools.forms import Answer, Export, Form, Handover, Written
from dfal_cli.tables.tools.labelstudio import DFAL_IMAGE

FILE_NAME = "file_name"
NUMBERS = (
    "the label is a number without the name of its class, and is taken for the name; if it is an index, "
    'write the names into the file (features["label"].int2str)'
)
CSV, JSONL = "metadata.csv", "metadata.jsonl"
README = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: "**"
---
"""
"""Without it, images in a folder called test would be taken for the test split."""


def _write(handed: Handover, folder: Path) -> Written:
    import pandas as pd

    names = [f"images/{image}" for image in handed.images]
    table = pd.DataFrame({FILE_NAME: names, LABEL: handed.labels, DFAL_IMAGE: handed.images}, dtype=str)
    text = table.to_csv(index=False, lineterminator="\n")
    for name, image in zip(names, handed.images, strict=True):
        handed.put(image, folder / name)
    (folder / "README.md").write_text(README, encoding="utf-8")
    if _is_read_back(text, table):
        (folder / CSV).write_text(text, encoding="utf-8")
        return Written([CSV])
    lines = [json.dumps(row, ensure_ascii=False) for row in table.to_dict("records")]
    (folder / JSONL).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Written([JSONL])


def _is_read_back(text: str, table: Any) -> bool:
    """Return whether the CSV gives these labels to a reader that guesses types, as `datasets` does: not NA or 007."""
    import pandas as pd

    guessed = pd.read_csv(io.StringIO(text)).astype(object)
    return bool((guessed.where(guessed.notna(), "").astype(str).to_numpy() == table.to_numpy()).all())


def _instructions(root: ImageRoot, folder: Path) -> Sequence[str]:
    return (f'load it in Python with  datasets.load_dataset("{folder}")',)


EXPORT = Export("Hugging Face", _write, _instructions)


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and FILE_NAME in value and LABEL in value


def _answer(row: Mapping[str, Any], place: str) -> Answer:
    label = row[LABEL]
    return Answer(str(row[FILE_NAME]), "" if label is None else str(label), place, str(row.get(DFAL_IMAGE) or ""))


def _is_metadata(table: Table) -> bool:
    return {FILE_NAME, LABEL} <= set(table.columns) and IMAGE not in table.columns  # with it, the table is dfal's own


def _of_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[Answer]:
    return _with_doubts(_answer(row, f"line {number}") for number, row in enumerate(rows, 1))


def _of_table(table: Table) -> Iterator[Answer]:
    return _with_doubts(_answer(row, place) for place, row in table.rows())


def _with_doubts(answers: Iterable[Answer]) -> Iterator[Answer]:
    """Yield the answers; with a doubt if all labels are numbers, and not of classes that dfal handed over."""
    answers = list(answers)
    labelled = [each for each in answers if each.label.strip()]
    doubtful = all(each.label.isdecimal() and not each.dfal_image for each in labelled)
    for each in answers:
        yield each._replace(doubt=NUMBERS) if doubtful and each.label.strip() else each


def _is_parquet(path: Path) -> bool:
    from dfal_cli.tables.parquet import column_names

    return {FILE_NAME, LABEL} <= set(column_names(path))


def _of_parquet(path: Path) -> Iterator[Answer]:
    """Return the answers; a class label stored as a number has its name in the metadata of `datasets`."""
    from dfal_cli.tables.parquet import read_rows

    rows, metadata = read_rows(path, (FILE_NAME, LABEL, DFAL_IMAGE))
    names = _class_names(metadata)
    answers = [_answer(_named(row, names), f"row {number}") for number, row in enumerate(rows, 1)]
    return iter(answers) if names else _with_doubts(answers)


def _named(row: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    label = row[LABEL]
    return {**row, LABEL: names[label]} if isinstance(label, int) and 0 <= label < len(names) else row


def _class_names(metadata: Mapping[bytes, bytes]) -> Sequence[str]:
    stored = json.loads(metadata.get(b"huggingface", b"{}"))
    names = stored.get("info", {}).get("features", {}).get(LABEL, {}).get("names", ())
    return names if isinstance(names, list) else ()


FORMS = (
    Form("Hugging Face metadata (CSV)", "table", _is_metadata, _of_table),
    Form("Hugging Face metadata (JSON lines)", "json lines", lambda rows: all(map(_is_row, rows)), _of_lines),
    Form("Hugging Face metadata (JSON lines)", "json", _is_row, lambda row: _of_lines([row])),
    Form("Hugging Face metadata (Parquet)", "parquet", _is_parquet, _of_parquet),
)

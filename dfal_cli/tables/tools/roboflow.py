"""Roboflow's classification exports: _classes.csv with a column per class; its folders per class are like any other.

Roboflow renames images: photo.png becomes photo_png.rf.<hash>.jpg, see `matching`.
"""

from collections.abc import Iterator

from dfal_cli.errors import listed
from dfal_cli.tables.tools.documents import Table
from dfal_cli.tables.tools.forms import Answer, Form, FormError

FILE_NAME = "filename"


def _is_classes(table: Table) -> bool:
    if not table.columns or table.columns[0].strip() != FILE_NAME or len(table.columns) < 2:
        return False
    _, row = next(table.rows(), ("", {}))
    return all(cell.strip() in ("0", "1") for name, cell in row.items() if name.strip() != FILE_NAME)


def _answers(table: Table) -> Iterator[Answer]:
    for place, row in table.rows():
        classes = [name.strip() for name, cell in row.items() if cell.strip() == "1"]
        if len(classes) > 1:
            raise FormError(f"{place}: {len(classes)} classes ({listed(classes)}); an image has one label")
        yield Answer(row[table.columns[0]].strip(), next(iter(classes), ""), place)


FORMS = (Form("Roboflow classes", "table", _is_classes, _answers),)

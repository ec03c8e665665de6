"""Labelling tools: a table of the forms in which images are handed over, and one of those in which answers are read.

A tool is a module with one function that writes, and one function and one test by content for each form that it reads.
"""

from dfal_cli.tables.tools import class_folders, cvat, fiftyone, huggingface, labelstudio, prodigy, roboflow
from dfal_cli.tables.tools.forms import Export, Form

EXPORTS: dict[str, Export] = {
    "labelstudio": labelstudio.EXPORT,
    "cvat": cvat.EXPORT,
    "fiftyone": fiftyone.EXPORT,
    "huggingface": huggingface.EXPORT,
    "folder": class_folders.EXPORT,
}
"""`dfal export --to` -> how it is written."""

FORMS: tuple[Form, ...] = (
    *labelstudio.FORMS,
    *cvat.FORMS,
    *fiftyone.FORMS,
    *huggingface.FORMS,
    *roboflow.FORMS,
    *prodigy.FORMS,
    *class_folders.FORMS,
)
"""Every form that is read; a document has the first one that recognises it."""

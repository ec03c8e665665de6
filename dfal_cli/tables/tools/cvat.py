"""CVAT for images 1.1: https://docs.cvat.ai/docs/other/xml_format. A label is a tag of the image."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from dfal_cli.errors import listed
from dfal_cli.schemas import IMAGE, SKIP
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.tables.tools.forms import Answer, Export, Form, FormError, Handover, Written

ONLY_SHAPES = "the image has shapes but no tag, so it has no answer"
ANNOTATIONS, LABELS, IMAGES = "annotations.xml", "cvat-labels.json", "images"


def _write(handed: Handover, folder: Path) -> Written:
    classes = [*handed.classes, SKIP]
    specification = [{"name": name, "type": "tag", "attributes": []} for name in classes]
    (folder / LABELS).write_text(json.dumps(specification, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    root.append(_meta(classes, len(handed.images)))
    for rank, image, label in handed.rows():
        handed.put(image, folder / IMAGES / image)
        width, height = handed.size_of(image)
        element = SubElement(root, IMAGE, id=str(rank - 1), name=image, width=str(width), height=str(height))
        if label:
            SubElement(element, "tag", label=label, source="manual").text = ""
    indent(root)
    ElementTree(root).write(folder / ANNOTATIONS, encoding="utf-8", xml_declaration=True)
    return Written([LABELS, ANNOTATIONS, IMAGES])


def _meta(classes: Sequence[str], count: int) -> Element:
    meta = Element("meta")
    task = SubElement(meta, "task")
    for name, text in (("name", "dfal"), ("size", str(count)), ("mode", "annotation")):
        SubElement(task, name).text = text
    labels = SubElement(task, "labels")
    for each in classes:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = each
        SubElement(label, "type").text = "tag"
        SubElement(label, "attributes")
    return meta


def _instructions(root: ImageRoot, folder: Path) -> Sequence[str]:
    return (
        f"create a CVAT task: paste {folder / LABELS} as its labels (Raw), and select the files in {folder / IMAGES}",
        f"mark unusable images with the tag {SKIP}; export the task as \"CVAT for images 1.1\"",
        f"if some images have labels already, upload {folder / ANNOTATIONS} as \"CVAT 1.1\"",
    )  # fmt: skip


EXPORT = Export("CVAT", _write, _instructions, needs_classes=True)


def _answers(root: Element) -> Iterator[Answer]:
    for number, image in enumerate(root.iter(IMAGE)):
        name = image.get("name")
        place = f"image {image.get('id', number)}"
        if not name:
            raise FormError(f"{place}: no name")
        labels = {tag.get("label", ""): None for tag in image.iter("tag")}
        if len(labels) > 1:
            raise FormError(f"{place}: {len(labels)} tags ({listed(labels)}); an image has one label")
        yield Answer(name, next(iter(labels), ""), place, doubt=ONLY_SHAPES if len(image) and not labels else "")


def _is_for_images(root: Element) -> bool:
    """Return whether the annotations are of images; those of videos are tracks."""
    return root.tag == "annotations" and root.find("track") is None


FORMS = (Form("CVAT for images 1.1", "xml", _is_for_images, _answers),)

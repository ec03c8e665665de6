"""FiftyOne: its image classification datasets are written; these, and the samples of its own format, are read.

https://docs.voxel51.com/user_guide/dataset_creation/datasets.html#fiftyoneimageclassificationdataset
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dfal_cli.errors import listed
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.tables.tools.forms import Answer, Export, Form, FormError, Handover, Written

DATA, LABELS = "data", "labels.json"
PREDICTIONS = "its labels have a confidence, so they are predictions of a model, not answers"
LABEL_FIELDS = ("ground_truth", "label", "classification")


def _write(handed: Handover, folder: Path) -> Written:
    classes = sorted({*handed.classes, *filter(None, handed.labels)})
    targets = {name: number for number, name in enumerate(classes)}
    labels = {str(handed.path_of(image)): targets.get(label) for _, image, label in handed.rows()}
    content = json.dumps({"classes": classes, "labels": labels}, ensure_ascii=False, indent=1)
    (folder / LABELS).write_text(content + "\n", encoding="utf-8")
    (folder / DATA).mkdir()  # FiftyOne looks for images there, and there is none: labels.json has their absolute paths
    return Written([LABELS])


def _instructions(root: ImageRoot, folder: Path) -> Sequence[str]:
    return (
        "load it in Python with",
        f'  dataset = fiftyone.Dataset.from_dir("{folder}", fiftyone.types.FiftyOneImageClassificationDataset)',
        "and hand the answers back with",
        '  dataset.export("answered", fiftyone.types.FiftyOneImageClassificationDataset, '
        "label_field=..., export_media=False, abs_paths=True)",
    )


EXPORT = Export("FiftyOne", _write, _instructions, holds_images=False)


def _is_classification(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("labels"), dict) and "classes" in value


def _of_classification(value: Mapping[str, Any]) -> Iterator[Answer]:
    classes = value["classes"] or []
    for image, target in value["labels"].items():
        place = f"label of {listed([image])}"
        targets = target if isinstance(target, list) else [target]
        if len(targets) > 1:
            raise FormError(f"{place}: {len(targets)} labels; an image has one label")
        yield Answer(image, _class_of(targets[0] if targets else None, classes, place), place)


def _class_of(target: Any, classes: Sequence[str], place: str) -> str:
    """Return the class of a target: an index, a name, or either with attributes. Raises FormError if it is a guess."""
    if isinstance(target, dict):
        if target.get("confidence") is not None:
            raise FormError(f"{place}: {PREDICTIONS}")
        target = target.get("label")
    if not isinstance(target, int):
        return "" if target is None else str(target)
    if not 0 <= target < len(classes):
        raise FormError(f"{place}: class {target}, but there are only {len(classes)} classes")
    return str(classes[target])


def _has_samples(value: Any) -> bool:
    samples = value.get("samples") if isinstance(value, dict) else None
    return isinstance(samples, list) and all(isinstance(each, dict) and "filepath" in each for each in samples)


def _of_samples(value: Mapping[str, Any]) -> Iterator[Answer]:
    samples = value["samples"]
    field = _label_field(samples)
    for number, sample in enumerate(samples):
        label = (sample.get(field) or {}).get("label") or ""
        yield Answer(str(sample["filepath"]), str(label), f"sample {number}", str(sample.get("dfal_image") or ""))


def _label_field(samples: Sequence[Mapping[str, Any]]) -> str:
    labels = [(name, value) for each in samples for name, value in each.items() if _is_label(value)]
    found = {name for name, value in labels if value.get("confidence") is None}
    if labels and not found:
        raise FormError(PREDICTIONS)
    known = [name for name in LABEL_FIELDS if name in found]
    if not known and len(found) > 1:
        raise FormError(f"several fields hold labels ({listed(sorted(found))}); call one of them {LABEL_FIELDS[0]}")
    return next(iter([*known, *found]), LABEL_FIELDS[0])


def _is_label(value: Any) -> bool:
    return isinstance(value, dict) and value.get("_cls") == "Classification"


FORMS = (
    Form("FiftyOne image classification JSON", "json", _is_classification, _of_classification),
    Form("FiftyOne samples", "json", _has_samples, _of_samples),
)

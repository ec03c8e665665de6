"""Answers as each labelling tool writes them: one image of each of two classes, one unusable, one unanswered.

Small exports of our own making. The forms are those of the tools' documentation and, for Label Studio, of its server.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.conftest import write

IMAGES = ("a/0.png", "a/1.png", "b/2.png", "ä b.png")
ANSWERED = {"a/0.png": "circle", "a/1.png": "square, big", "b/2.png": "__skip__"}
"""What every file below says; the fourth image has no answer."""


def draw_images(root: Path, images: tuple[str, ...] = IMAGES) -> Path:
    """Make small grey images."""
    for number, image in enumerate(images, 1):
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 40 * number).save(root / image)
    return root


def task(number: int, image: str, *annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    """A task as Label Studio exports it."""
    return {"id": number, "annotations": list(annotations), "predictions": [], "data": {"image": image, **data}}


def annotation(label: str, when: str = "2026-01-01T00:00:00.000000Z") -> dict[str, Any]:
    """An annotation as Label Studio exports it; without a result if it was skipped."""
    choice = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [label]}}
    is_skipped = label == "__skip__"
    return {"result": [] if is_skipped else [choice], "was_cancelled": is_skipped, "updated_at": when}


def write_json(path: Path, value: Any) -> Path:
    """Write JSON."""
    return write(path, json.dumps(value, ensure_ascii=False))


def labelstudio_json(path: Path) -> Path:
    tasks = [task(n, f"/data/local-files/?d=img/{image}", *([annotation(ANSWERED[image])] if image in ANSWERED else []))
             for n, image in enumerate(IMAGES)]  # fmt: skip
    return write_json(path / "ls.json", tasks)


def labelstudio_min(path: Path) -> Path:
    flat = {"annotation_id": 1, "annotator": 1, "lead_time": 1.5, "updated_at": "2026-01-01T00:00:00Z"}
    rows = [{"id": n, "image": f"/data/upload/1/{image}", "label": label, **flat}
            for n, (image, label) in enumerate(ANSWERED.items())]  # fmt: skip
    return write_json(path / "min.json", [*rows, {"id": 9, "image": "/data/upload/1/%C3%A4%20b.png", **flat}])


def labelstudio_csv(path: Path, separator: str = ",") -> Path:
    rows = [["annotation_id", "annotator", "id", "image", "label", "lead_time", "updated_at"]]
    rows += [["1", "1", "1", f"/data/local-files/?d=img/{image}", label, "1.5", "2026-01-01"]
             for image, label in ANSWERED.items()]  # fmt: skip
    quoted = [separator.join(f'"{cell}"' for cell in row) for row in rows]
    return write(path / ("ls.tsv" if separator == "\t" else "ls.csv"), *quoted)


def labelstudio_tsv(path: Path) -> Path:
    return labelstudio_csv(path, "\t")


def cvat(path: Path) -> Path:
    tags = {image: f'<tag label="{label}" source="manual"/>' for image, label in ANSWERED.items()}
    images = [f'<image id="{n}" name="{image}" width="16" height="16">{tags.get(image, "")}</image>'
              for n, image in enumerate(IMAGES)]  # fmt: skip
    return write(path / "annotations.xml", '<?xml version="1.0" encoding="utf-8"?>',
                 "<annotations><version>1.1</version>", *images, "</annotations>")  # fmt: skip


def class_folders(path: Path) -> Path:
    for image, label in {**ANSWERED, "ä b.png": "__unanswered__"}.items():
        draw_images(path / "sorted" / label, (Path(image).name,))
    write(path / "sorted" / "circle" / "notes.txt", "no image")
    return path / "sorted"


def _metadata() -> list[dict[str, str | None]]:
    return [{"file_name": image, "label": ANSWERED.get(image)} for image in IMAGES]


def huggingface_csv(path: Path) -> Path:
    rows = [f'"{row["file_name"]}","{row["label"] or ""}"' for row in _metadata()]
    write(path / "hf" / "metadata.csv", "file_name,label", *rows)
    return path / "hf"


def huggingface_jsonl(path: Path) -> Path:
    return write(path / "metadata.jsonl", *(json.dumps(row) for row in _metadata()))


def huggingface_parquet(path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(_metadata()), path / "metadata.parquet")
    return path / "metadata.parquet"


def huggingface_class_labels(path: Path) -> Path:
    """Labels as numbers, whose names are in the metadata of `datasets`."""
    names = sorted(ANSWERED.values())
    rows = [{"file_name": image, "label": names.index(label)} for image, label in ANSWERED.items()]
    features = {"file_name": {"dtype": "string", "_type": "Value"}, "label": {"names": names, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(metadata), path / "numbers.parquet")
    return path / "numbers.parquet"


def fiftyone(path: Path) -> Path:
    classes = sorted(ANSWERED.values())
    labels = {image.removesuffix(".png"): classes.index(label) for image, label in ANSWERED.items()}
    return write_json(path / "labels.json", {"classes": classes, "labels": {**labels, "ä b": None}})


def fiftyone_samples(path: Path) -> Path:
    samples = [{"filepath": f"data/{image}", "ground_truth": {"_cls": "Classification", "label": label}}
               for image, label in ANSWERED.items()]  # fmt: skip
    return write_json(path / "samples.json", {"samples": [*samples, {"filepath": "data/ä b.png"}]})


def roboflow(path: Path) -> Path:
    classes = list(ANSWERED.values())
    rows = [f"{Path(image).stem}_png.rf.{'0a' * 16}.jpg," + ",".join(str(int(label == each)) for each in classes)
            for image, label in ANSWERED.items()]  # fmt: skip
    header = ",".join(f'"{name}"' for name in ("filename", *classes))
    return write(path / "_classes.csv", header, *rows)


def prodigy(path: Path) -> Path:
    def line(image: str, answer: str, accept: list[str]) -> str:
        return json.dumps({"image": f"http://localhost/{image}", "options": [], "accept": accept, "answer": answer,
                           "_timestamp": 1.7e9})  # fmt: skip

    return write(path / "db-out.jsonl", line("a/0.png", "accept", ["circle"]),
                 line("a/1.png", "accept", ["square, big"]), line("b/2.png", "ignore", []),
                 line("%C3%A4%20b.png", "reject", []))  # fmt: skip


FILES: dict[str, Callable[[Path], Path]] = {
    "Label Studio JSON": labelstudio_json,
    "Label Studio JSON_MIN": labelstudio_min,
    "Label Studio CSV or TSV": labelstudio_csv,
    "Label Studio TSV": labelstudio_tsv,
    "CVAT for images 1.1": cvat,
    "a folder per class": class_folders,
    "Hugging Face metadata (CSV)": huggingface_csv,
    "Hugging Face metadata (JSON lines)": huggingface_jsonl,
    "Hugging Face metadata (Parquet)": huggingface_parquet,
    "Hugging Face class labels": huggingface_class_labels,
    "FiftyOne image classification JSON": fiftyone,
    "FiftyOne samples": fiftyone_samples,
    "Roboflow classes": roboflow,
    "Prodigy JSON lines": prodigy,
}
"""Form (or a kind of it) -> writes a file or folder into a folder and returns its path."""

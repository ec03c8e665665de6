"""Lists go to the real tools and come back: FiftyOne, Hugging Face's datasets and Datumaro.

Each tool has an environment of its own, named by an environment variable; without it, its test is skipped:

    DFAL_FIFTYONE=/path/to/python                pip install fiftyone (with its database)
    DFAL_DATASETS=/path/to/python                pip install datasets pillow
    DFAL_DATUMARO=/path/to/python                pip install datumaro
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import dfal, write
from tests.round_trips import ANSWERS, IMAGES, house, merged, tool

__all__ = ["house"]

pytestmark = pytest.mark.long

CLASSES = "circle,square, big,NA".replace("square, big", "big")


def export(to: str, queries: str = "queries.csv") -> Path:
    arguments = ("--images", "img", "--labels", "classes.csv", "--to", to, "--out", f"for-{to}")
    ended = dfal("export", "--queries", queries, *arguments)
    assert ended.code == 0, ended.stderr
    return Path(f"for-{to}")


def run(program: str, script: str, **settings: str) -> None:
    """Run a script in the environment of a tool."""
    home = Path("home").absolute()
    environment = os.environ | {"HOME": str(home)} | settings
    done = subprocess.run([program, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]


FIFTYONE = """
import fiftyone as fo
kind = fo.types.FiftyOneImageClassificationDataset
dataset = fo.Dataset.from_dir("for-fiftyone", kind, label_field="ground_truth")
answers = {answers!r}
assert len(dataset) == {count}, len(dataset)
assert dataset.default_classes == ["NA", "circle", "square, big"], dataset.default_classes
assert not dataset.has_sample_field("ground_truth"), "nothing has a label yet"
dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
for sample in dataset:
    image = sample.filepath.split("/img/", 1)[1]
    if image in answers:
        sample["ground_truth"] = fo.Classification(label=answers[image])
        sample.save()
options = dict(label_field="ground_truth", export_media=False)
dataset.export("absolute", kind, abs_paths=True, **options)
dataset.export("relative", kind, rel_dir="img", **options)
dataset.export("samples", fo.types.FiftyOneDataset, export_media=False)
"""


def test_fiftyone(house: Path) -> None:
    python = tool("DFAL_FIFTYONE")
    export("fiftyone")
    script = FIFTYONE.replace("{answers!r}", repr(ANSWERS)).replace("{count}", str(len(IMAGES)))
    run(python, script, FIFTYONE_DATABASE_DIR=str(Path("db").absolute()), FIFTYONE_DO_NOT_TRACK="true")
    for folder in ("absolute", "relative", "samples"):
        assert merged("--queries", "queries.csv", "--answers", folder) == ANSWERS, folder
        assert merged("--queries", folder, "--images", "img") == ANSWERS, folder


DATASETS = """
import datasets, json, os
read = datasets.load_dataset("for-huggingface", split="train")
assert len(read) == {count}, read
assert read.column_names == ["image", "label", "dfal_image"], read.column_names
answers = {answers!r}
assert all(row["label"] in (None, "") and row["image"].size == (16, 16) for row in read), read[:]
rows = [dict(file_name=name, label=answers.get(name)) for name in read["dfal_image"]]
answered = datasets.Dataset.from_list(rows)
for folder in ("csv", "jsonl", "parquet", "numbers"):
    os.makedirs(folder)
answered.to_csv("csv/metadata.csv")
answered.to_json("jsonl/metadata.jsonl")
answered.to_parquet("parquet/metadata.parquet")
named = answered.filter(lambda row: row["label"] is not None)
names = sorted(set(answers.values()))
named.cast_column("label", datasets.ClassLabel(names=names)).to_parquet("numbers/metadata.parquet")
"""


def test_hugging_face(house: Path) -> None:
    python = tool("DFAL_DATASETS")
    export("huggingface")
    run(python, DATASETS.replace("{answers!r}", repr(ANSWERS)).replace("{count}", str(len(IMAGES))), HF_HUB_OFFLINE="1")
    for folder in ("csv", "jsonl", "parquet", "numbers"):
        assert merged("--queries", "queries.csv", "--answers", folder) == ANSWERS, folder


def test_hugging_face_reads_labels_that_a_csv_reader_would_change(house: Path) -> None:
    python = tool("DFAL_DATASETS")
    write(house / "labels.csv", "image,label", *(f'{image},"{label}"' for image, label in ANSWERS.items()))
    export("huggingface", "labels.csv")
    script = 'import datasets; read = datasets.load_dataset("for-huggingface", split="train"); '
    run(
        python,
        script + f"assert dict(zip(read['dfal_image'], read['label'])) == {ANSWERS!r}, read[:]",
        HF_HUB_OFFLINE="1",
    )


DATUMARO = """
import datumaro
dataset = datumaro.Dataset.import_from("for-cvat", "cvat")
names = [label.name for label in dataset.categories()[datumaro.AnnotationType.label]]
assert names == ["NA", "circle", "square, big", "__skip__"], names
items = {item.id + ".png": item for item in dataset}
assert set(items) == {images!r}, set(items)
for image, item in items.items():
    assert item.media.size == (16, 16), item.media
    assert [names[each.label] for each in item.annotations] == [answers[key] for key in answers if key == image], item
for image, label in more.items():
    items[image].annotations.append(datumaro.Label(names.index(label)))
dataset.export("answered", "cvat", save_media=True)
"""


def test_cvat_by_datumaro(house: Path) -> None:
    """Datumaro reads and writes what CVAT does; two labels are there before."""
    python = tool("DFAL_DATUMARO")
    before, more = dict(list(ANSWERS.items())[:2]), dict(list(ANSWERS.items())[2:]) | {"test/2.png": "__skip__"}
    rows = [f'{image},"{before.get(image, "")}"' for image in IMAGES]
    write(house / "queries.csv", "image,label", *rows)
    export("cvat")
    script = f"answers = {before!r}\nmore = {more!r}\n" + DATUMARO.replace("{images!r}", repr(set(IMAGES)))
    run(python, script)
    found = sorted(Path("answered").glob("*.xml"))
    assert len(found) == 1, list(Path("answered").iterdir())
    assert merged("--queries", found[0], "--images", "img") == before | more

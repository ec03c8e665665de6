"""Lists go to the real tools and come back: Label Studio's server, FiftyOne, Hugging Face's datasets and Datumaro.

Each tool has an environment of its own, named by an environment variable; without it, its test is skipped:

    DFAL_LABEL_STUDIO=/path/to/label-studio      pip install label-studio
    DFAL_FIFTYONE=/path/to/python                pip install fiftyone (with its database)
    DFAL_DATASETS=/path/to/python                pip install datasets pillow
    DFAL_DATUMARO=/path/to/python                pip install datumaro
"""

import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import dfal, write
from tests.tables.tool_files import draw_images

pytestmark = pytest.mark.long

IMAGES = ("a/0.png", "a/1.png", "b/0.png", "test/2.png", "ä b+c.png", "d/5.png")
ANSWERS = {"a/0.png": "circle", "a/1.png": "square, big", "b/0.png": "NA", "ä b+c.png": "circle"}
CLASSES = "circle,square, big,NA".replace("square, big", "big")
TOKEN = "0123456789abcdef0123456789abcdef01234567"
START_SECONDS = 1500
"""A server of Label Studio migrates its database first, for 37 s on a free machine."""


def tool(variable: str) -> str:
    """The program in an environment variable; skips the test without it."""
    program = os.environ.get(variable)
    if not program:
        pytest.skip(f"{variable} is not set: no such tool here")
    return program


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """Six images, a list of them, and a label of each class elsewhere."""
    draw_images(in_tmp / "img", IMAGES)
    write(in_tmp / "queries.csv", "rank,image,label", *(f"{rank},{image}," for rank, image in enumerate(IMAGES, 1)))
    write(in_tmp / "classes.csv", "image,label", "x.png,circle", 'y.png,"square, big"', "z.png,NA")
    return in_tmp


def export(to: str, queries: str = "queries.csv") -> Path:
    arguments = ("--images", "img", "--labels", "classes.csv", "--to", to, "--out", f"for-{to}")
    ended = dfal("export", "--queries", queries, *arguments)
    assert ended.code == 0, ended.stderr
    return Path(f"for-{to}")


def merged(*arguments: object) -> dict[str, str]:
    """The labels after the answers are merged into a new file."""
    from dfal_cli.tables import read_labels

    target = Path("merged.csv")
    target.unlink(missing_ok=True)
    ended = dfal("merge", "--labels", target, "--class-names", "NA,circle,big", "--allow-new-classes", *arguments)
    assert ended.code == 0, ended.stderr
    table = read_labels(target)
    return dict(zip(table["image"], table["label"], strict=True))


def run(program: str, script: str, **settings: str) -> None:
    """Run a script in the environment of a tool."""
    home = Path("home").absolute()
    environment = os.environ | {"HOME": str(home)} | settings
    done = subprocess.run([program, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]


class LabelStudio:
    """A client of a running server."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def __call__(self, method: str, path: str, value: Any = None) -> Any:
        """Send JSON and return the answer: JSON, or bytes of anything else."""
        content = self.send(method, path, value and json.dumps(value).encode(), "application/json")
        try:
            return json.loads(content)
        except ValueError:
            return content

    def send(self, method: str, path: str, body: bytes | None, kind: str) -> bytes:
        """Send bytes and return the answer."""
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": kind}
        request = urllib.request.Request(self.address + path, method=method, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return bytes(answer.read())

    def project(self, configuration: str) -> int:
        """Make a project and return its number."""
        return int(self("POST", "/api/projects", {"title": "dfal", "label_config": configuration})["id"])

    def tasks(self, project: int) -> dict[str, int]:
        """The number of each task, by its image."""
        found = self("GET", f"/api/tasks?project={project}&page_size=1000")["tasks"]
        return {task["data"].get("dfal_image", task["data"]["image"]): task["id"] for task in found}

    def annotate(self, task: int, label: str) -> None:
        """Answer a task, or skip it."""
        choice = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [label]}}
        is_skipped = label == "__skip__"
        answer = {"result": [] if is_skipped else [choice], "was_cancelled": is_skipped}
        self("POST", f"/api/tasks/{task}/annotations/", answer)

    def download(self, project: int, kind: str, name: str) -> Path:
        """Export the answers into a file."""
        path = Path(f"{name}.{kind}")
        path.write_bytes(self.send("GET", f"/api/projects/{project}/export?exportType={kind}", None, ""))
        return path


@contextlib.contextmanager
def label_studio(program: str, settings: dict[str, str]) -> Iterator[LabelStudio]:
    """Run a server in an empty folder, with the variables that `dfal export` printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | settings | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(Path("data").absolute()), "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "COLLECT_ANALYTICS": "False", "HOME": str(Path("home").absolute()),
    }  # fmt: skip
    command = [program, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port),
               "--username", "a@example.org", "--password", "12345678", "--user-token", TOKEN]  # fmt: skip
    with contextlib.ExitStack() as running:
        log = running.enter_context(Path("server.log").open("wb"))
        server = running.enter_context(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        try:
            client = LabelStudio(port)
            wait_for(client, server)
            yield client
        finally:
            server.terminate()


def wait_for(client: LabelStudio, server: "subprocess.Popen[bytes]") -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client("GET", "/health")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert server.poll() is None and time.monotonic() < deadline, Path("server.log").read_text()[-3000:]
            time.sleep(1)
        else:
            return


def printed_settings(told: str) -> dict[str, str]:
    """The variables in the lines `export NAME=VALUE`."""
    lines = [shlex.split(line) for line in told.splitlines() if line.strip().startswith("export ")]
    return dict(setting.split("=", 1) for _, setting in lines)


def test_label_studio(house: Path) -> None:
    program = tool("DFAL_LABEL_STUDIO")
    arguments = ("--images", "img", "--labels", "classes.csv", "--to", "labelstudio", "--out", "tasks")
    exported = dfal("export", "--queries", "queries.csv", *arguments)
    assert exported.code == 0, exported.stderr
    with label_studio(program, printed_settings(exported.stderr)) as server:
        configuration = Path("tasks/labels.xml").read_text()
        project = server.project(configuration)
        storage = next(line.rpartition(": ")[2] for line in exported.stderr.splitlines() if "Local files" in line)
        local = {"project": project, "title": "img", "path": storage, "regex_filter": ".*", "use_blob_urls": True}
        server("POST", "/api/storages/localfiles", local)
        server("POST", f"/api/projects/{project}/import", json.loads(Path("tasks/tasks-001.json").read_text()))
        tasks = server.tasks(project)
        assert set(tasks) == set(IMAGES)
        assert sorted(tasks, key=tasks.__getitem__) == list(IMAGES), "in rank order"
        for task in json.loads(Path("tasks/tasks-001.json").read_text()):
            image = task["data"]["dfal_image"]
            assert server.send("GET", task["data"]["image"], None, "") == (house / "img" / image).read_bytes()
        for image, label in (ANSWERS | {"test/2.png": "__skip__"}).items():
            server.annotate(tasks[image], label)
        files = {kind: server.download(project, kind, "one") for kind in ("JSON", "JSON_MIN", "CSV", "TSV")}
        server.annotate(tasks["a/0.png"], "NA")
        differing = {kind: server.download(project, kind, "two") for kind in files}
        uploaded = uploads(server, configuration)
    for kind, file in files.items():
        skipped = {"test/2.png": "__skip__"} if kind == "JSON" else {}  # the others leave skipped tasks out
        assert merged("--queries", "queries.csv", "--answers", differing[kind], "--on-conflict", "newest") == (
            ANSWERS | skipped | {"a/0.png": "NA"}
        )
        shutil.copy(file, "answers")
        assert merged("--queries", "queries.csv", "--answers", "answers") == ANSWERS | skipped
        assert merged("--queries", "answers", "--images", "img") == ANSWERS | skipped
    refused = dfal("merge", "--queries", "queries.csv", "--answers", differing["CSV"], "--labels", "none.csv")
    assert refused.code == 3
    assert "'a/0.png' is 'circle'" in refused.stderr or "'a/0.png' is 'NA'" in refused.stderr
    assert merged("--queries", uploaded, "--images", "img") == {"ä b+c.png": "circle", "d/5.png": "NA"}


def uploads(server: LabelStudio, configuration: str) -> Path:
    """Upload two images as a person does, answer them, and export the answers: no task says what dfal calls them."""
    project = server.project(configuration)
    for image in ("ä b+c.png", "d/5.png"):
        parts = (
            f'--x\r\nContent-Disposition: form-data; name="file"; filename="{Path(image).name}"\r\n'
            "Content-Type: image/png\r\n\r\n"
        )
        body = parts.encode() + Path("img", image).read_bytes() + b"\r\n--x--\r\n"
        server.send("POST", f"/api/projects/{project}/import", body, "multipart/form-data; boundary=x")
    for image, task in server.tasks(project).items():
        server.annotate(task, "NA" if image.endswith("5.png") else "circle")
    return server.download(project, "JSON", "uploaded")


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

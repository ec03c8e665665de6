"""A list goes to Label Studio's real server and comes back.

The tool has an environment of its own, named by an environment variable; without it, the test is skipped:

    DFAL_LABEL_STUDIO=/path/to/label-studio      pip install label-studio
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

from tests.conftest import dfal
from tests.round_trips import ANSWERS, IMAGES, house, merged, tool

__all__ = ["house"]

pytestmark = pytest.mark.long

TOKEN = "0123456789abcdef0123456789abcdef01234567"
START_SECONDS = 1500
"""A server of Label Studio migrates its database first, for 37 s on a free machine."""


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

"""A labelling page in this process, and requests to it as a browser makes them."""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from PIL import Image

from dfal_cli.pages.labelling.app import application
from dfal_cli.pages.labelling.guard import guarded
from dfal_cli.pages.labelling.server import serving
from dfal_cli.pages.labelling.session import Session
from dfal_cli.schemas import QUERIES_COLUMNS
from dfal_cli.steps.label.options import LabelOptions
from dfal_cli.steps.label.session import open_photos, open_session
from dfal_cli.tables import read_queries, write_rows

TOKEN, ONCE = "a-token", "once"


@dataclass(frozen=True)
class Reply:
    """What the server replied."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Served:
    """A page that is being served."""

    session: Session
    port: int

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"http://{self.host}/{TOKEN}/"

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """Send a request exactly as given; `Host` is right unless given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {"Host": self.host} | {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            reply = connection.getresponse()
            return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())

    def get(self, path: str, **values: object) -> Reply:
        """Ask as the page does."""
        return self.request("GET", f"/{TOKEN}/{path}?{urlencode({'person': 'me', **values})}")

    def post(self, path: str, **values: object) -> Reply:
        """Send what is to be saved as the page does."""
        body = json.dumps({"person": "me", **values}).encode()
        headers = {"Origin": f"http://{self.host}", "Content_Type": "application/json"}
        return self.request("POST", f"/{TOKEN}/{path}", body, **headers)

    def answer(self, image: str, label: str, before: str = "", person: str = "me") -> Any:
        """Answer one image, and return what the server replied."""
        answers = [{"image": image, "label": label, "before": before}]
        reply = self.post("answers", person=person, answers=answers, after=-1, count=10, seconds=1.5)
        assert reply.status == 200, reply.text
        return reply.json


@contextlib.contextmanager
def served(
    queries: Path, images: Path, *, port: int = 0, merge: str = "", token: str = TOKEN, **options: Any
) -> Iterator[Served]:
    """Serve the page of a query list."""
    given = LabelOptions(queries=queries, images=images, **options)
    session = open_session(given)
    app = guarded(application(session, open_photos(given, session.board.images), merge), token, "127.0.0.1", ONCE)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        with serving(app, listener):
            yield Served(session, listener.getsockname()[1])


def draw_list(folder: Path, count: int = 12, *names: str) -> Path:
    """Make `folder`/images with coloured pictures and `folder`/queries.csv that asks about all of them."""
    generator = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    images = names or [f"{number:03d}.png" for number in range(count)]
    for name in images:
        place = folder / "images" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(place)
    write_rows(
        folder / "queries.csv", QUERIES_COLUMNS, [(str(n), name, "", "", "") for n, name in enumerate(images, 1)]
    )
    return folder / "queries.csv"


def labels_in(queries: Path) -> list[str]:
    """The answers in a list, in its order."""
    return list(read_queries(queries)["label"])

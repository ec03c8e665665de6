"""A real object store on this machine, moto's, which a test may let fail."""

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dfal_cli.system.image_roots import Url

Answer = Callable[[dict[str, Any]], tuple[int, str] | None]
"""Takes a request (WSGI), and returns a status and an error code, or None to let the store answer."""

ACCESS = {
    "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}  # fmt: skip

ERROR = "<Error><Code>{0}</Code><Message>{0} of the test</Message></Error>"


class ObjectStore:
    """The store, which answers at AWS_ENDPOINT_URL."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self._application = application
        self._answer: Answer = lambda request: None
        self._numbers = itertools.count()
        self.requests: list[str] = []

    def __call__(self, request: dict[str, Any], start: Callable[..., Any]) -> Any:
        """Answer a request."""
        self.requests.append(f"{request['REQUEST_METHOD']} {request['PATH_INFO']}")
        answer = self._answer(request)
        if answer is None:
            return self._application(request, start)
        status, code = answer
        start(f"{status} {code}", [("Content-Type", "application/xml")])
        return [ERROR.format(code).encode()]

    @contextlib.contextmanager
    def answering(self, answer: Answer) -> Iterator[None]:
        """Answer otherwise for a while."""
        self._answer = answer
        try:
            yield
        finally:
            self._answer = lambda request: None

    def filled(self, folder: Path) -> Url:
        """Upload a folder to a bucket of its own, and return its URL."""
        import s3fs

        url = Url(f"s3://bucket-{next(self._numbers)}/pool")
        filesystem = s3fs.S3FileSystem()
        filesystem.mkdir(url.split("/")[2])
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            filesystem.pipe_file(f"{url}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return url


@contextlib.contextmanager
def running() -> Iterator[ObjectStore]:
    """Run the store."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (pip install .[test])")
    werkzeug = pytest.importorskip("werkzeug.serving", reason="moto's server is not installed (pip install .[test])")
    from moto.server import DomainDispatcherApplication, create_backend_app

    store = ObjectStore(DomainDispatcherApplication(create_backend_app))
    server = werkzeug.make_server("127.0.0.1", 0, store, threaded=True, request_handler=_quiet(werkzeug))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ACCESS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}.items():
            patch.setenv(name, value)
        yield store
    server.shutdown()
    thread.join()


def _quiet(werkzeug: Any) -> type:
    """Return a handler that writes no log."""
    return type("Quiet", (werkzeug.WSGIRequestHandler,), {"log": lambda *_: None})


def too_late(seconds: float) -> Answer:
    """Answer nothing in time."""

    def wait(request: dict[str, Any]) -> None:
        time.sleep(seconds)

    return wait

"""The requests that the labelling page makes, each a function of the session."""

import json
from collections.abc import Callable
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from bottle import Bottle, HTTPError, HTTPResponse, request

from dfal_cli.errors import DfalError
from dfal_cli.images import ImageError
from dfal_cli.images.screen import Picture
from dfal_cli.pages.labelling.board import Answer
from dfal_cli.pages.labelling.guard import MOST_BODY_BYTES
from dfal_cli.pages.labelling.people import MAX_SECONDS
from dfal_cli.pages.labelling.photos import Photos
from dfal_cli.pages.labelling.session import RefusedClassError, Session
from dfal_cli.schemas import SKIP
from dfal_cli.system.reporting import printable

MOST_ROWS = 200
"""Maximum number of rows in one reply."""

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}  # fmt: skip

PAGES = resources.files("dfal_cli.pages")

PAGE = {
    file.name: Picture(file.read_bytes(), MEDIA_TYPES[PurePosixPath(file.name).suffix])
    for file in (PAGES.joinpath("house.css"), *PAGES.joinpath("labelling", "page").iterdir())
}
"""The files of the page; nothing else is sent from the disk but images of the list."""


def application(session: Session, photos: Photos, merge: str) -> Bottle:
    """Return the WSGI application. `merge`: the labels file into which answers are merged at the end, or ""."""
    app = Bottle()
    app.default_error_handler = _plain

    def route(path: str, function: Callable[[], Any], method: str = "GET") -> None:
        app.route(path, method, _answering(function))

    route("/", lambda: _sent(PAGE["index.html"], "no-store"))
    app.route("/page/<name>", "GET", _file_of_the_page)
    route("/state", lambda: {**session.state(_text("person")), "merge": merge})
    route("/rows", lambda: {"rows": session.rows(_number("first"), _within(_number("count")))})
    route("/queue", lambda: {"rows": session.queue(_text("person"), _number("after"), _within(_number("count")))})
    route("/grid", lambda: session.grid(_text("predicted"), _within(_number("count"))))
    route("/changes", lambda: session.changes(
        _text("person"), _text("image"), _number("epoch"), _number("revision")
    ))  # fmt: skip
    route("/photo", lambda: _sent(photos.picture(_image(session), _number("side"))))
    route("/original", lambda: _sent(photos.original(_image(session))))
    route("/leave", lambda: _leave(session), "POST")
    route("/answers", lambda: _answers(session), "POST")
    route("/undo", lambda: _undo(session), "POST")
    route("/classes", lambda: _new_class(session), "POST")
    route("/finish", lambda: _finish(session), "POST")
    return app


def _answering(function: Callable[[], Any]) -> Callable[[], Any]:
    """Return the function with errors that a person can do something about as messages with a status."""

    def answering() -> Any:
        try:
            reply = function()
        except (ImageError, RefusedClassError) as error:
            raise _refused(422, str(error)) from None
        except DfalError as error:
            raise _refused(503, str(error)) from None
        except OSError as error:
            raise _refused(503, f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None
        if not isinstance(reply, dict):
            return reply
        return HTTPResponse(json.dumps(reply), 200, {"Content-Type": "application/json", "Cache-Control": "no-store"})

    return answering


def _answers(session: Session) -> dict[str, Any]:
    match _body():
        case {"person": str(person), "answers": [*given], "after": int(after), "count": int(count), **rest}:
            answers = [_answer(each, session) for each in given]
            seconds = rest.get("seconds")
            took = float(min(seconds, MAX_SECONDS)) if isinstance(seconds, int | float) and seconds >= 0 else None
            result = session.answer(person, answers, took)
            rows = session.queue(person, after, _within(count))
            return {**result, "queue": rows, **session.progress(person)}
    raise _refused(400, "not an answer")


def _answer(given: object, session: Session) -> Answer:
    match given:
        case {"image": str(image), "label": str(label), "before": str(before)}:
            if label in ("", SKIP) or label in session.classes:
                return Answer(image, label, before)
            raise _refused(422, f"{printable(label)} is not a class yet")
    raise _refused(400, "not an answer")


def _undo(session: Session) -> dict[str, Any]:
    match _body():
        case {"person": str(person)}:
            return {**session.undo(person), **session.progress(person)}
    raise _refused(400, "not a person")


def _new_class(session: Session) -> dict[str, Any]:
    match _body():
        case {"person": str(person), "name": str(name)}:
            session.add_class(name.strip())
            return session.progress(person)
    raise _refused(400, "not a class")


def _leave(session: Session) -> dict[str, Any]:
    match _body():
        case {"person": str(person)}:
            session.leave(person)
            return {}
    raise _refused(400, "not a person")


def _finish(session: Session) -> dict[str, Any]:
    if session.board.left or session.conflicts:
        raise _refused(422, "some images are not answered yet, or have two answers")
    session.finished.set()
    return {}


def _file_of_the_page(name: str) -> HTTPResponse:
    if name not in PAGE:
        raise _refused(404, "no such file")
    return _sent(PAGE[name], "no-cache")


def _sent(picture: Picture, caching: str = "private, max-age=600") -> HTTPResponse:
    return HTTPResponse(picture.content, 200, {"Content-Type": picture.media_type, "Cache-Control": caching})


def _image(session: Session) -> str:
    """Return the image that is asked for; only images of the list are sent."""
    image = _text("image")
    if session.board.row_of(image) is None:
        raise _refused(404, "the list does not ask about such an image")
    return image


def _body() -> Any:
    """Return the JSON in the body of a request."""
    if not request.content_type.startswith("application/json"):
        raise _refused(415, "not JSON")
    try:
        return json.loads(request.body.read(MOST_BODY_BYTES))
    except (ValueError, RecursionError):
        raise _refused(400, "not JSON") from None


def _text(name: str) -> str:
    return str(request.query.getunicode(name, ""))


def _number(name: str) -> int:
    text = _text(name)
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 9:
        raise _refused(400, f"{name} is not a number")
    return int(text)


def _within(count: int) -> int:
    """Return how many rows to send if `count` are asked for."""
    return min(max(count, 0), MOST_ROWS)


def _refused(status: int, message: str) -> HTTPResponse:
    return HTTPResponse(printable(message), status, {"Content-Type": "text/plain; charset=utf-8"})


def _plain(error: HTTPError) -> str:
    """Return the reply to a request that the application has no function for, or that met a bug."""
    error.content_type = "text/plain; charset=utf-8"
    return str(error.status_line)

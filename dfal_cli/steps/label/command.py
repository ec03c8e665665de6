"""label: answer a query list in the browser."""

import contextlib
import getpass
import os
import platform
import secrets
import signal
import sys
import threading
import webbrowser
from collections.abc import Iterator

from dfal_cli.errors import Interrupted, plural
from dfal_cli.pages.labelling.app import application
from dfal_cli.pages.labelling.guard import LOOPBACK_NAMES, guarded
from dfal_cli.pages.labelling.server import listening, serving
from dfal_cli.pages.labelling.session import Session
from dfal_cli.schemas import SKIP
from dfal_cli.steps.label.checks import check
from dfal_cli.steps.label.options import LabelOptions
from dfal_cli.steps.label.session import open_photos, open_session
from dfal_cli.steps.merge.command import merge
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.result import Result
from dfal_cli.system.reporting import Reporter

TOKEN_BYTES = 16


def label(options: LabelOptions, reporter: Reporter) -> Result:
    """Serve the labelling page until a person ends it, in the page or with Ctrl-C; then merge, if asked to.

    Raises UsageError, DataError or TryAgainError, as documented for the command, and Interrupted for SIGTERM. Every
    answer is on disk before the page shows the next image, so that nothing is lost in any case.
    """
    check(options)
    session = open_session(options)
    photos = open_photos(options, session.board.images)
    token, once = secrets.token_urlsafe(TOKEN_BYTES), secrets.token_urlsafe(TOKEN_BYTES)
    app = guarded(application(session, photos, str(options.merge or "")), token, options.host, once)
    with listening(options.host, options.port) as listener, serving(app, listener), _ended_by_ctrl_c(session):
        address = _introduce(options, session, listener.getsockname()[1], token, reporter)
        if options.browser and _has_screen():
            threading.Thread(target=webbrowser.open, args=(f"{address}{once}/",), daemon=True).start()
        session.finished.wait()
    counts = _counts(session)
    status = "unfinished" if counts["left"] or counts["conflicts"] else "done"
    result = Result([options.queries], _summary(session, counts), counts, status=status)
    return _merged(options, session, result, reporter)


@contextlib.contextmanager
def _ended_by_ctrl_c(session: Session) -> Iterator[None]:
    """End the block at Ctrl-C, as if the session had ended. Raises Interrupted for SIGTERM."""
    try:
        yield
    except Interrupted as interrupted:
        if interrupted.exit_code != 128 + signal.SIGINT:
            interrupted.add_note(f"with {session.board.left} queries left; all answers are in the list")
            raise


def _introduce(options: LabelOptions, session: Session, port: int, token: str, reporter: Reporter) -> str:
    """Say where the page is, and return the address of the server."""
    is_local = options.host in LOOPBACK_NAMES
    name = f"[{options.host}]" if ":" in options.host else options.host
    name = name if is_local or name.strip("0.[]:") else platform.node()
    total, left = len(session.board.images), session.board.left
    address = f"http://{name}:{port}/"
    reporter.note(f"{options.queries}: {total} {plural(total, 'query', 'queries')}, {left} unanswered")
    reporter.note(f"label in the browser: {address}{token}/")
    if is_local:
        tunnel = f"ssh -L {port}:{name}:{port} {_user()}@{platform.node()}"
        reporter.note(f"from another machine: {tunnel}, then open the same link there")
    else:
        reporter.warn("everybody who has the link can label, and the connection is not encrypted")
    reporter.note("Ctrl-C ends; every answer is saved at once")
    return address


def _user() -> str:
    """Return the name of the user; containers may run as one without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "user"


def _has_screen() -> bool:
    """Return whether a browser would have a window; one in the terminal would not show images."""
    return sys.platform == "darwin" or any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _counts(session: Session) -> dict[str, int]:
    board = session.board
    total, left = len(board.images), board.left
    return {
        "queries": total, "answered": total - left, "now": sum(session.people.answered.values()),
        "skipped": board.counts[SKIP], "left": left, "conflicts": len(session.conflicts),
    }  # fmt: skip


def _summary(session: Session, counts: dict[str, int]) -> str:
    seconds = session.people.seconds
    pace = f", {seconds:.1f} s per image" if seconds is not None else ""
    people = len(session.people.answered)
    together = f" by {people} people" if people > 1 else ""
    return (
        f"{counts['answered']} of {counts['queries']} answered, {counts['now']} of them now{together}{pace}; "
        f"{counts['skipped']} {SKIP}, {counts['conflicts']} in conflict, {counts['left']} left"
    )


def _merged(options: LabelOptions, session: Session, result: Result, reporter: Reporter) -> Result:
    """Merge the answers, if asked to and if there is one for every query."""
    if options.merge is None:
        return result
    if result.counts["left"] or result.counts["conflicts"]:
        reporter.note(f"not merged into {options.merge}: some queries are unanswered or in conflict")
        return result
    reporter.note(result.summary)
    merging = MergeOptions(
        queries=options.queries, labels=options.merge, images=options.images, class_names=session.classes,
        follow_links=options.follow_links, wait=options.wait,
    )  # fmt: skip
    merged = merge(merging, reporter)
    return Result([*result.outputs, *merged.outputs], merged.summary, result.counts, {"merged": merged.counts})

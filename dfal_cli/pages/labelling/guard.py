"""Who may speak to the labelling page: whoever has its link, from a page of its own.

Any website that a browser shows could send requests to a server on this machine. They lack the random token of the
link, and the browser says where they come from.
"""

import ipaddress
import secrets
import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

Environment = dict[str, Any]
Application = Callable[[Environment, Callable[..., Any]], Iterable[bytes]]

MOST_BODY_BYTES = 500_000

HEADERS = [
    ("Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
]  # fmt: skip
"""Headers of every answer: no other site may frame, embed or read it, and the page loads nothing from elsewhere."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def guarded(application: Application, token: str, host: str, once: str = "") -> Application:
    """Return the application behind the path `/TOKEN/`, for requests to `host` from its own page only.

    once: leads to that path one single time, for the browser that is started here: the addresses that programs are
    started with can be seen by all users of a machine.
    """
    unused = {once} - {""}

    def guarding(environment: Environment, start: Callable[..., Any]) -> Iterable[bytes]:
        def start_with_headers(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start(status, [*headers, *HEADERS], *more)

        given, slash, rest = environment["PATH_INFO"].removeprefix("/").partition("/")
        problem = _problem(environment, host)
        if problem is None and given in unused:
            unused.discard(given)
            start_with_headers("303 See Other", [("Location", f"/{token}/"), ("Cache-Control", "no-store")])
            return []
        if problem is None and not (slash and secrets.compare_digest(given.encode(), token.encode())):
            problem = "403 Forbidden", "Open the link that `dfal label` printed when it started."
        if problem is None:
            environment["PATH_INFO"] = f"/{rest}"
            return application(environment, start_with_headers)
        status, message = problem
        start_with_headers(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [message.encode()]

    return guarding


def _problem(environment: Environment, host: str) -> tuple[str, str] | None:
    """Return status and message if a request does not come from the page itself."""
    asked = environment.get("HTTP_HOST", "")
    if not _is_this_server(asked, host):
        return "421 Misdirected Request", "This server does not answer to that name."
    origin = environment.get("HTTP_ORIGIN")
    is_reading = environment["REQUEST_METHOD"] in ("GET", "HEAD")
    if origin != f"http://{asked}" and not (origin is None and is_reading):
        return "403 Forbidden", "Requests from other sites are not answered."
    if environment.get("HTTP_SEC_FETCH_SITE", "none") not in ("none", "same-origin") and not (
        environment.get("HTTP_SEC_FETCH_MODE") == "navigate" and is_reading  # a link to the page, in a mail or a chat
    ):
        return "403 Forbidden", "Requests from other sites are not answered."
    return None


def _is_this_server(asked: str, host: str) -> bool:
    """Return whether a Host header names this server. A name that its owner points at this machine does not."""
    try:
        name = urlsplit(f"//{asked}").hostname or ""
    except ValueError:
        return False
    if name in LOOPBACK_NAMES or name == host.lower():
        return True
    return host not in LOOPBACK_NAMES and (_is_address(name) or name in {socket.gethostname(), socket.getfqdn()})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

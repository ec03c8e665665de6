"""Pages from the templates beside this file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

from dfal_cli.system.files import atomic_output
from dfal_cli.system.reporting import printable

HEAD = 1024
"""Bytes of a page within which it says who made it."""


def write_page(
    page: Path, template: str, generator: str, check: Callable[[], None] = lambda: None, **values: Any
) -> None:
    """Render a template of this folder, with the mark of the command that makes it.

    Values are escaped, and one that the template misses is a bug. `check` is as of `atomic_output`.
    """
    environment = jinja2.Environment(
        finalize=lambda value: printable(value) if type(value) is str else value,  # not what has been made markup
        loader=jinja2.PackageLoader("dfal_cli", "pages"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    html = environment.get_template(template).render(values, generator=generator)
    with atomic_output(page, check) as temporary:
        temporary.write_text(html, encoding="utf-8")


def is_made_by(generator: str, page: Path) -> bool:
    """Whether a file is a page with that mark."""
    with page.open("rb") as file:
        return f'<meta name="generator" content="{generator}">'.encode() in file.read(HEAD)

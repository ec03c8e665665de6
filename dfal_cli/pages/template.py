"""Renders HTML pages from the templates in this folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

from dfal_cli.system.files import atomic_output
from dfal_cli.system.reporting import printable

HEAD_BYTES = 1024
"""The generator mark is within this number of bytes of a page."""


def write_page(
    page: Path, template: str, generator: str, check: Callable[[], None] = lambda: None, **values: Any
) -> None:
    """Render a template of this folder, with a mark of the command that generates it.

    Values are escaped; a missing value is an error. `check` is passed to `atomic_output`.
    """
    environment = jinja2.Environment(
        finalize=lambda value: printable(value) if type(value) is str else value,  # markup is not a plain str
        loader=jinja2.PackageLoader("dfal_cli", "pages"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    html = environment.get_template(template).render(values, generator=generator)
    with atomic_output(page, check) as temporary:
        temporary.write_text(html, encoding="utf-8")


def is_made_by(generator: str, page: Path) -> bool:
    """Return whether a file is a page with the mark of this command."""
    with page.open("rb") as file:
        return f'<meta name="generator" content="{generator}">'.encode() in file.read(HEAD_BYTES)

"""Pages from the templates beside this file."""

from pathlib import Path
from typing import Any

import jinja2

from dfal_cli.console import printable
from dfal_cli.files import atomic_output


def write_page(page: Path, template: str, **values: Any) -> None:
    """Render a template of this folder; values are escaped, and one that the template misses is a bug."""
    environment = jinja2.Environment(
        finalize=lambda value: printable(value) if type(value) is str else value,  # not what has been made markup
        loader=jinja2.PackageLoader("dfal_cli", "pages"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    html = environment.get_template(template).render(values)
    with atomic_output(page) as temporary:
        temporary.write_text(html, encoding="utf-8")

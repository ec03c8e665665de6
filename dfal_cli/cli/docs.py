"""The command `dfal docs`, which shows the pages of dfal_cli/docs."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from dfal_cli.cli.streams import closed_pipe_allowed, print_result
from dfal_cli.errors import UsageError, did_you_mean

PAGES = Path(__file__).parents[1] / "docs"
BROWSER_ONLY = (
    (r"(?s)<!--.*?-->\n?", ""),  # the program that generates a table
    (r"(?m)^!\[.*\n\n", ""),  # a picture
    (r"\[([^]]+)\]\((\w+)\.md[^)]*\)", r"\1 (`dfal docs \2`)"),
    (r"\[([^]]+)\]\((?!https?:)[^)]*\)", r"\1"),
)
"""Patterns of what only a browser can show, and what a terminal shows instead."""


def _topics_starting_with(typed: str) -> list[str]:
    return [name for name in topics() if name.startswith(typed)]


def docs(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC",
            help="The topic to show. Without it, list the topics.",
            autocompletion=_topics_starting_with,
        ),
    ] = None,
) -> None:
    """Show the documentation: list its topics, or show one."""
    if topic is None:
        print_result("\n".join(f"{name:12} {summary}" for name, summary in topics().items()), sys.stdout)
        return
    if topic not in topics():
        remedy = did_you_mean(topic, topics()) or f"; the topics are {', '.join(topics())}"
        raise UsageError(f"the documentation has no topic {topic!r}{remedy}")
    _show(_for_terminals(_read(topic)))


def topics() -> dict[str, str]:
    """Map each topic to its summary, the paragraph below the heading of its page."""
    return {name: _read(name).split("\n\n")[1] for name in sorted(page.stem for page in PAGES.glob("*.md"))}


def _read(topic: str) -> str:
    return (PAGES / f"{topic}.md").read_text(encoding="utf-8")


def _for_terminals(page: str) -> str:
    for pattern, replacement in BROWSER_ONLY:
        page = re.sub(pattern, replacement, page)
    return page


def _show(page: str) -> None:
    """Print a page, formatted if stdout is a terminal."""
    if not sys.stdout.isatty():
        print_result(page.rstrip(), sys.stdout)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    with closed_pipe_allowed():
        Console().print(Markdown(page))

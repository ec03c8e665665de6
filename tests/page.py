"""A page as its reader gets it: tags, words, pictures and tables."""

import base64
import io
import itertools
import json
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from PIL import Image

BLOCKS = ("h2", "tr", "th", "td", "dt", "dd")


class Page(HTMLParser):
    """Collects tags with their attributes, and the text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._blocks: list[tuple[str, list[str]]] = [("", [])]
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in BLOCKS:
            self._blocks.append((tag, []))

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCKS:
            self._blocks.append(("", []))

    def handle_data(self, data: str) -> None:
        self.text += data
        self._blocks[-1][1].append(data)

    @property
    def words(self) -> str:
        """The text with every kind of white space made one blank."""
        return " ".join(self.text.split())

    def pictures(self) -> list[Image.Image]:
        return [
            Image.open(io.BytesIO(base64.b64decode((attributes["src"] or "").split(",")[1])))
            for tag, attributes in self.tags
            if tag == "img"
        ]

    def tables(self) -> dict[str, dict[str, list[str]]]:
        """Under each heading the rows of its table, by what stands in their first cell."""
        rows: dict[str, list[list[str]]] = defaultdict(list)
        heading = ""
        for tag, words in self._said():
            if tag == "h2":
                heading = words
            elif tag == "tr":
                rows[heading].append([])
            elif tag in ("th", "td"):
                rows[heading][-1].append(words)
        return {name: {cells[0]: cells[1:] for cells in table} for name, table in rows.items()}

    def cell(self, heading: str, row: str, column: int) -> str:
        """A cell of the table whose heading begins so; column 0 is the one after the row's name."""
        (table,) = (table for name, table in self.tables().items() if name.startswith(heading))
        return table[row][column]

    def settings(self) -> dict[str, str]:
        """What the page lists as name and value."""
        said = self._said()
        return {name: value for (tag, name), (_, value) in itertools.pairwise(said) if tag == "dt"}

    def _said(self) -> list[tuple[str, str]]:
        return [(tag, " ".join(" ".join(parts).split())) for tag, parts in self._blocks if tag]


def listed(page: Page) -> Any:
    """What the script of a page is given."""
    return json.loads(page.source.split('<script type="application/json" id="list">')[1].split("</script>")[0])

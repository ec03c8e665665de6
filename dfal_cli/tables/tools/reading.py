"""Reads the answers of labelling tools: which form a file has, what it says, and where."""

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dfal_cli.errors import DataError, listed, plural, shown
from dfal_cli.system.fingerprints import file_state
from dfal_cli.system.reporting import printable
from dfal_cli.tables.tools import FORMS
from dfal_cli.tables.tools.documents import Document, answers_file, open_document
from dfal_cli.tables.tools.forms import Answer, Form, FormError


class ToolAnswers(NamedTuple):
    """The answers in a file or folder of a labelling tool, in its order."""

    path: Path
    """The file, also if its folder was named."""
    form: str
    answers: Sequence[Answer]

    def doubts(self) -> Iterator[str]:
        """Yield a sentence for each kind of doubt, with the first answer of which it is said."""
        first = {each.doubt: each.place for each in reversed(self.answers) if each.doubt}
        counts = Counter(each.doubt for each in self.answers)
        for doubt, place in first.items():
            more = counts[doubt] - 1
            yield f"{self.path}, {place}: {doubt}" + f" ({more} more {plural(more, 'image')} like this)" * bool(more)


def read_tool_answers(path: Path) -> ToolAnswers | None:
    """Return the answers in a file or folder; None if it is a table of dfal's own or no table at all.

    Raises DataError if the file is damaged, or its form is not known; UsageError if it is an archive.
    """
    file = answers_file(path)
    if file.is_dir():  # the state of a folder does not tell whether its subfolders have changed
        return _read.__wrapped__(file, None)
    return _read(file, file_state(str(file)))


def place_of(path: Path, row: int) -> str | None:
    """Return where an answer stands: "task 5"; None if the file is not one of a labelling tool."""
    found = read_tool_answers(path)
    return found and found.answers[row].place


@functools.lru_cache(4)
def _read(file: Path, state: object) -> ToolAnswers | None:
    """Read a file once for its answers and all messages about them. state: changes if the file does."""
    form = None
    try:
        document = open_document(file)
        if document is None:
            return None
        form = _form_of(document)
        if form is None:
            if document.container not in ("table", "folder"):
                raise FormError(f"its answers have no known form; known are {listed(known_forms(), 20)}")
            return None
        return ToolAnswers(file, form.name, tuple(map(_storable, form.answers(document.content))))
    except FormError as error:
        raise DataError(f"{file}: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{file}: looks like {form.name if form else 'answers'}, but is damaged ({error})") from None


def known_forms() -> Sequence[str]:
    """Return the names of all forms."""
    return list(dict.fromkeys(form.name for form in FORMS))


def _storable(answer: Answer) -> Answer:
    """Return the answer. Raises FormError if a table cannot hold its image or its label: JSON can spell anything."""
    for text in (answer.image, answer.dfal_image, answer.label):
        if "\0" in text or text.encode(errors="replace").decode() != text:
            raise FormError(f"{answer.place}: {shown(text)} cannot be stored in a table")
    return answer._replace(place=printable(answer.place), time=printable(answer.time))


def _form_of(document: Document) -> Form | None:
    return next(
        (form for form in FORMS if form.container == document.container and form.recognises(document.content)), None
    )

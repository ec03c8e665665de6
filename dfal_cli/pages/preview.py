"""The preview of a query list: a self-contained HTML page of the images, on which they can be labelled."""

import base64
import csv
import hashlib
import io
import re
import shlex
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pandas as pd

from dfal_cli.images import STRETCH, ImageError
from dfal_cli.images.resize import resize_of
from dfal_cli.pages.preview_pictures import Images, Picture, TwinPictures, limit_of
from dfal_cli.pages.preview_words import MARGIN, class_guess, guess, numbers, order, reason
from dfal_cli.pages.template import HEAD_BYTES, is_made_by, write_page
from dfal_cli.schemas import CONTROL, EMBEDDING_SPACE, IMAGE, LABEL, PIXEL_SPACE, RANK, TWIN
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.fingerprints import fingerprint
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.paths import folder_of
from dfal_cli.tables import to_csv
from dfal_cli.tables.class_keys import KEYS

GENERATOR = "dfal select"
"""The generator mark of preview pages."""

MARGINS_ARE = {
    PIXEL_SPACE: "the estimated distance of the image to the nearest other class, for pixel values from 0 to 1",
    EMBEDDING_SPACE: "the distance of the image's embedding to the nearest other class, for embeddings of unit length",
}
"""What margins are, by their space."""


class Card(NamedTuple):
    """One query on the page."""

    rank: str
    image: str
    name: str
    """The file name: the names of folders may give the answer away."""
    picture: str
    """data: URI, or "" if the image cannot be read."""
    tiny: bool
    problem: str
    """Why the image cannot be read, or ""."""
    guess: str
    """What the classifier takes the image for, or ""."""
    reason: str
    """Why the image was picked, or ""."""
    numbers: list[str]
    twin: str
    """data: URI, or ""; so is the difference."""
    difference: str
    tiny_twin: bool
    amplified: str
    """The factor by which the difference is amplified."""


def write_preview(
    page: Path, queries_file: Path, queries: pd.DataFrame, scores: pd.DataFrame | None, root: ImageRoot,
    metadata: dict[str, Any], strategy: str, *, keys: Mapping[str, str], keep_better: bool,
    check: Callable[[], None] = lambda: None,
) -> tuple[int, bool]:  # fmt: skip
    """Write the preview of a query list with images under `root`; `metadata` are those of the scores file.

    scores: the queries' rows of the scores file, if the page shall show predictions. keys: class -> key.
    keep_better: keep an existing page that has more pictures. `check` is passed to `atomic_output`.
    Returns the number of images that could not be read, and whether an existing page was kept.
    """
    chosen = STRATEGIES[strategy]
    has_control = CONTROL in queries  # then the page says nothing of a single query that would betray it
    resize = resize_of(metadata.get("resize")) or STRETCH
    images = Images(root, metadata.get("follow_links", False), metadata.get("white"), resize, limit_of(len(queries)))
    images = images.with_whites_of(queries[IMAGE])
    rows = [] if scores is None else scores.to_dict("records")
    guesses = [class_guess(row) if has_control else guess(row) for row in rows] or [""] * len(queries)
    shape = metadata.get("input_shape") if chosen.trains_on_twins and not has_control else None
    folder = folder_of(queries_file)
    cards = [
        _card(row, said, None if has_control else chosen.measure, images, folder, shape)
        for row, said in zip(queries.to_dict("records"), guesses, strict=True)
    ]
    pictures = sum(bool(card.picture) for card in cards)
    if keep_better and page.exists() and _pictures_in(page) > pictures:
        return len(cards) - pictures, True
    script = resources.files("dfal_cli.pages").joinpath("preview.js").read_text(encoding="utf-8")
    write_page(
        page, "preview.html.jinja", GENERATOR, check, cards=cards, strategy=strategy, file=queries_file.name,
        answers_file=shlex.quote(_answers_file(queries_file)),
        asked=chosen.help, note=chosen.note, order=order(strategy), has_control=has_control,
        by_margin=chosen.measure == MARGIN,
        norm=metadata.get("norm", "") if chosen.measure and queries[MARGIN].any() and not has_control else "",
        margins_are=MARGINS_ARE[metadata.get("space", PIXEL_SPACE)], pictures=str(pictures),
        small=pictures > 0 and all(card.tiny for card in cards if card.picture),
        list=_list(queries_file, queries, keys), script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )  # fmt: skip
    return len(cards) - pictures, False


def is_preview(page: Path) -> bool:
    """Return whether a file is a preview page of any query list."""
    return is_made_by(GENERATOR, page)


def _pictures_in(page: Path) -> int:
    """Return the number of images that a preview page shows."""
    with page.open("rb") as file:
        found = re.search(rb'<meta name="pictures" content="(\d+)">', file.read(HEAD_BYTES))
    return int(found[1]) if found else 0


def _answers_file(queries_file: Path) -> str:
    """Return the name under which the page saves answers: not that of the list, which has none and may lie beside."""
    return f"{queries_file.stem}.answers.csv"


def _list(queries_file: Path, queries: pd.DataFrame, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page's script needs: the cells of the query list, as in the file, and the classes."""
    columns, *rows = csv.reader(io.StringIO(to_csv(queries), newline=""))
    return {
        "identity": f"dfal {fingerprint(list(queries[IMAGE]))}", "file": _answers_file(queries_file),
        "columns": columns, "rows": rows, "rank": columns.index(RANK), "label": columns.index(LABEL),
        "classes": list(keys.items()), "keys": KEYS,
    }  # fmt: skip


def _card(
    row: dict[Any, str], said: str, measure: str | None, images: Images, folder: Path, shape: list[int] | None
) -> Card:
    """Return the card of a query. measure: the reason why. shape: that of twins. None if the page shows none."""
    has_twin = bool(row[TWIN] and shape)
    picture, problem = Picture(), ""
    try:
        picture = images.picture(row[IMAGE], beside_twin=has_twin)
    except ImageError as error:
        problem = str(error)
    twin, difference, amplified = TwinPictures()
    if has_twin and shape and not problem:
        twin, difference, amplified = images.twin_pictures(row[IMAGE], folder / row[TWIN], shape)
    return Card(
        row[RANK], row[IMAGE], PurePosixPath(row[IMAGE]).name, picture.source, picture.is_tiny, problem, said,
        reason(measure, row), numbers(measure, row), twin.source, difference.source, twin.is_tiny,
        amplified,
    )  # fmt: skip

"""The preview of a query list: a self-contained HTML page with images large enough to label."""

import base64
import contextlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from dfal_cli.images import (
    STRETCH,
    ImageError,
    InputFormat,
    Resize,
    Shape,
    common_white,
    probe_image,
    resolve_image,
)
from dfal_cli.images.decode import Pixels, read_image
from dfal_cli.images.resize import resize_of
from dfal_cli.pages.template import is_made_by, write_page
from dfal_cli.schemas import EMBEDDING_SPACE, IMAGE, PIXEL_SPACE, TWIN
from dfal_cli.statistics.comparison import BASELINE
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.paths import folder_of
from dfal_cli.tables.twins import TwinError, read_twin

MARGIN = "margin"

GENERATOR = "dfal select"
"""The generator mark of preview pages."""

MARGINS_ARE = {
    PIXEL_SPACE: "the estimated distance of the image to the nearest other class, for pixel values from 0 to 1",
    EMBEDDING_SPACE: "the distance of the image's embedding to the nearest other class, for embeddings of unit length",
}
"""What margins are, by their space."""

MAX_SIDE = 512
"""Maximum side, in pixels, of a picture in the page."""

SHOWN_SIDE = 280
"""Height, in pixels, at which pictures are shown; smaller images are enlarged."""


@dataclass(frozen=True)
class Card:
    """One query on the page."""

    rank: str
    image: str
    numbers: list[str]
    """The measure of the strategy and the margin, each as "name value"."""
    predicted: str
    picture: str
    """data: URI, or "" if the image cannot be read."""
    problem: str
    """Why the image cannot be read, or ""."""
    twin: str
    """data: URI, or ""; so is the difference."""
    difference: str
    amplified: str
    """The factor by which the difference is amplified."""


def write_preview(
    page: Path, queries_file: Path, queries: pd.DataFrame, predicted: list[str] | None, root: Path,
    metadata: dict[str, Any], strategy: str, *, keep_better: bool, check: Callable[[], None] = lambda: None,
) -> tuple[int, bool]:  # fmt: skip
    """Write the preview of a query list with images under `root`; `metadata` are those of the scores file.

    keep_better: keep an existing page that has more pictures. `check` is passed to `atomic_output`.
    Returns the number of images that could not be read, and whether an existing page was kept.
    """
    rows = queries.to_dict("records")
    guesses = predicted or [""] * len(rows)
    chosen = STRATEGIES[strategy]
    names = list(dict.fromkeys((chosen.measure or MARGIN, MARGIN)))
    folder = folder_of(queries_file)
    resize = resize_of(metadata.get("resize")) or STRETCH
    images = _Images(root, metadata.get("follow_links", False), metadata.get("white"), resize)
    if "white" not in metadata:  # a first list, without a scores file
        images = images.with_white_of(queries[IMAGE])
    cards = [_card(row, guess, names, folder, images, metadata) for row, guess in zip(rows, guesses, strict=True)]
    unread = sum(bool(card.problem) for card in cards)
    if keep_better and page.exists() and _pictures_in(page) > len(cards) - unread:
        return unread, True
    write_page(
        page, "preview.html.jinja", GENERATOR, check, cards=cards, strategy=strategy, file=queries_file.name,
        asked=chosen.help, note=chosen.note, order=_order(strategy), by_margin=chosen.measure == MARGIN,
        norm=metadata.get("norm", "") if queries[MARGIN].any() else "",
        margins_are=MARGINS_ARE[metadata.get("space", PIXEL_SPACE)], side=SHOWN_SIDE,
    )  # fmt: skip
    return unread, False


def is_preview(page: Path) -> bool:
    """Return whether a file is a preview page of any query list."""
    return is_made_by(GENERATOR, page)


def _pictures_in(page: Path) -> int:
    """Return the number of images that a preview page shows."""
    return page.read_bytes().count(b"<figcaption>image</figcaption>")


def _order(strategy: str) -> str:
    """Describe the order of the ranks."""
    if strategy == BASELINE:
        return "in random order"
    return "best query first" if STRATEGIES[strategy].measure else "in the order of selection"


class _Images(NamedTuple):
    """The images of the page, decoded as for the network."""

    root: Path
    follow_links: bool
    white: float | None
    resize: Resize
    """How images are brought to the input shape."""

    def path(self, image: str) -> Path:
        """Return the path of an image. Raises ImageError if it is not under the root."""
        return resolve_image(self.root, image, follow_links=self.follow_links)

    def decoded(self, image: str, shape: Shape, resize: Resize = STRETCH) -> Pixels:
        """Decode an image to (C, H, W). Raises ImageError."""
        return read_image(self.path(image), InputFormat(shape, self.white, resize)).pixels

    def with_white_of(self, images: Iterable[str]) -> Self:
        """Return a copy with the value of white that training on these images would determine."""
        largest = []
        for image in images:
            with contextlib.suppress(ImageError):
                path = self.path(image)
                if probe_image(path).over_8_bits:
                    largest.append(read_image(path, InputFormat((1, 1, 1))).max_value or 0.0)
        return self._replace(white=common_white(np.array(largest)) if largest else None)


def _card(
    row: dict[Any, str], guess: str, names: list[str], folder: Path, images: _Images, metadata: dict[str, Any]
) -> Card:
    picture, problem = _picture(images, row[IMAGE])
    twin = difference = amplified = ""
    shape = metadata.get("input_shape")  # unknown in embedding space, where a twin is not an image
    if row[TWIN] and shape and not problem:
        twin, difference, amplified = _twin_pictures(images, row[IMAGE], folder / row[TWIN], shape)
    numbers = [f"{name.replace('_', ' ')} {float(row[name]):.4g}" for name in names if row[name]]
    return Card(row["rank"], row[IMAGE], numbers, guess, picture, problem, twin, difference, amplified)


def _picture(images: _Images, image: str) -> tuple[str, str]:
    """Return the image as a data: URI and "", or "" and why it cannot be read."""
    try:
        probe = probe_image(images.path(image))
        scale = min(1.0, MAX_SIDE / max(probe.height, probe.width))
        height, width = (max(1, round(side * scale)) for side in (probe.height, probe.width))
        pixels = images.decoded(image, (1 if probe.grey else 3, height, width))
    except ImageError as error:
        return "", str(error)
    return _data_uri(pixels), ""


def _twin_pictures(images: _Images, image: str, twin_file: Path, input_shape: list[int]) -> tuple[str, str, str]:
    """Return the twin, its amplified difference to the image around grey, and the factor; all "" without a twin."""
    channels, height, width = input_shape
    try:
        twin = read_twin(twin_file, input_shape)  # (C, H, W) in units of [0, 1]
        difference = twin - images.decoded(image, (channels, height, width), images.resize) / np.float32(255)
    except (TwinError, ImageError):
        return "", "", ""
    factor = 0.5 / max(float(np.abs(difference).max()), 1e-12)
    return (
        _data_uri(_eight_bits(twin)),
        _data_uri(_eight_bits(0.5 + factor * difference)),
        f"{float(f'{factor:.2g}'):,g}",
    )


def _eight_bits(pixels: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    return (pixels.clip(0, 1) * 255).round().astype(np.uint8)


def _data_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """Encode (C, H, W) uint8 pixels as a data: URI: small images as exact PNG, large ones as JPEG, which is smaller."""
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    kind, settings = ("JPEG", {"quality": 85}) if max(picture.size) > SHOWN_SIDE else ("PNG", {"optimize": True})
    buffer = io.BytesIO()
    picture.save(buffer, kind, **settings)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"

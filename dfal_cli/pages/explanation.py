"""The page of `dfal explain`: an image, the labelled images nearest to it, and its twin."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dfal_cli.images import ImageError
from dfal_cli.pages.preview_pictures import Images, Picture, TwinPictures
from dfal_cli.pages.template import write_page

GENERATOR = "dfal explain"
"""The generator mark of the pages."""


class Shown(NamedTuple):
    """A picture of the page, with the words below it."""

    image: str
    title: str
    """What it is: a class, or "nearest image of the list"."""
    detail: str
    picture: Picture
    problem: str = ""
    """Why the image cannot be read, or ""."""

    @property
    def name(self) -> str:
        """The file name."""
        return PurePosixPath(self.image).name


class Explanation(NamedTuple):
    """The words of the page."""

    image: str
    verdict: str
    reasons: Sequence[str]
    origin: Sequence[str]


def write_explanation(
    page: Path, words: Explanation, near: Sequence[tuple[str, str, str]], images: Images | None, twin: TwinPictures
) -> int:
    """Write the page, and return the number of images that could not be read.

    near: image, title and detail of each picture beside that of the image. images: None if the image root is unknown.
    """
    photo = _shown(words.image, "", "", images)
    others = [_shown(image, title, detail, images) for image, title, detail in near]
    write_page(
        page, "explanation.html.jinja", GENERATOR, words=words, photo=photo, others=others, twin=twin,
        name=photo.name,
    )  # fmt: skip
    return sum(not each.picture.source for each in (photo, *others))


def _shown(image: str, title: str, detail: str, images: Images | None) -> Shown:
    if images is None:
        return Shown(image, title, detail, Picture(), "the image root is unknown: name it with --images")
    try:
        return Shown(image, title, detail, images.picture(image, beside_twin=False))
    except ImageError as error:
        return Shown(image, title, detail, Picture(), str(error))

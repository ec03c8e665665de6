"""What the labelling tools have in common: answers that are read, and lists of images that are handed over."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dfal_cli.system.image_roots import ImageRoot


class Answer(NamedTuple):
    """What a tool says about one image, once."""

    image: str
    """The image as the tool names it: a path, a file name or a URL."""
    label: str
    """"" if there is no answer."""
    place: str
    """Where the answer stands in its file, for messages: "task 5"."""
    dfal_image: str = ""
    """The path of the image relative to the image root, if the tool kept what dfal wrote."""
    bare_name: str = ""
    """The name of the image without folders, if the folders in `image` are not those of the image root."""
    time: str = ""
    """When the answer was given, in a form that sorts by time; "" if the tool does not say."""
    doubt: str = ""
    """Why the answer may be misread or was left out, for a warning; "" if it is clear."""


class Form(NamedTuple):
    """A form of answers that can be read."""

    name: str
    """For messages: "Label Studio JSON"."""
    container: str
    """What the answers are stored in: json, json lines, xml, table, parquet or folder."""
    recognises: Callable[[Any], bool]
    """Whether a document of this container has this form."""
    answers: Callable[[Any], Iterable[Answer]]
    """The answers of such a document. May raise FormError."""


class FormError(Exception):
    """A document cannot be read in its form; the message says where and why, without the name of the file."""


class Handover(NamedTuple):
    """Images to label (or labelled), in rank order."""

    root: ImageRoot
    """The image root, absolute."""
    images: Sequence[str]
    labels: Sequence[str]
    """The label of each image; "" if it has none yet."""
    classes: Sequence[str]
    """The classes to choose from."""
    put: Callable[[str, Path], None]
    """Makes an image appear at a path, as a link or a copy. The folder of the path is made."""
    size_of: Callable[[str], tuple[int, int]]
    """Returns width and height of an image in pixels."""

    def rows(self) -> Iterable[tuple[int, str, str]]:
        """Return rank, image and label of each image."""
        return zip(range(1, len(self.images) + 1), self.images, self.labels, strict=True)

    def path_of(self, image: str) -> Path:
        """Return the absolute path of an image that is a file on disk."""
        return Path(self.root, image)


class Written(NamedTuple):
    """What an export wrote."""

    outputs: Sequence[str]
    """The files to import into the tool, relative to the folder; empty if it is the folder itself."""
    image_of: dict[str, str] = {}  # noqa: RUF012 - never changed
    """File name -> image, if the images have other names in the folder."""
    guesses: dict[str, str] = {}  # noqa: RUF012 - never changed
    """File name -> name of the folder into which a prediction put it: no answer until somebody moves it."""


class Export(NamedTuple):
    """A tool, or a form of files, to which images are handed over."""

    title: str
    write: Callable[[Handover, Path], Written]
    """Writes all files into an empty folder."""
    instructions: Callable[[ImageRoot, Path], Sequence[str]]
    """Returns what to do next, a line each, given the image root and the folder."""
    needs_classes: bool = False
    holds_images: bool = True
    """Whether the images are in the folder, as links or copies; else they are named where they are on disk."""

"""A folder per class: the class of an image is the name of the folder that directly contains it."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from mimetypes import guess_type
from pathlib import Path, PurePosixPath

from dfal_cli.errors import DataError, shown
from dfal_cli.schemas import SKIP
from dfal_cli.system.folders import is_hidden
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.state_files import read_json
from dfal_cli.tables.tools.documents import MARKED
from dfal_cli.tables.tools.forms import Answer, Export, Form, FormError, Handover, Written

LOOSE = "the image is in no folder of a class, so it has no answer"
UNANSWERED = "__unanswered__"
"""Folder of the images that have no label yet."""

UNSAFE = re.compile(r'[\x00-\x1f\x7f%/\\:*?"<>|]|^[. _]|[. ]$')
"""What a folder's name cannot hold on every system, begin with (hidden, or one of dfal's own), or end in."""
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names of devices, which Windows keeps for itself."""
MAX_BYTES = 200

RECORD = ".dfal.json"
"""Describes an exported folder: how it was made, and which image each file is."""


def _write(handed: Handover, folder: Path) -> Written:
    for name in {*handed.classes, *handed.labels, SKIP} - {""}:
        if name != PurePosixPath(name).name or name == "..":
            raise DataError(f"class {shown(name)} cannot be the name of a folder; use another --to")
        (folder / name).mkdir(exist_ok=True)
    (folder / UNANSWERED).mkdir(exist_ok=True)
    return Written([], _put_all(handed, folder, [label or UNANSWERED for label in handed.labels]))


def write_guesses(handed: Handover, folder: Path) -> Written:
    """Write a folder per class of images by their predicted classes, the labels of `handed`."""
    places = [folder_name(label) for label in handed.labels]
    image_of = _put_all(handed, folder, places)
    return Written([], image_of, dict(zip(image_of, places, strict=True)))


def folder_name(label: str) -> str:
    """Return a name for the folder of a class that every system can have: other characters as %XX.

    Different classes have different names, and that of a usual class is its own.
    """
    name = re.sub(UNSAFE, lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), label)
    if RESERVED.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name.encode()) > MAX_BYTES:
        digest = hashlib.sha256(label.encode()).hexdigest()[:16]
        name = f"{name.encode()[: MAX_BYTES - 20].decode(errors='ignore')}%.{digest}"
    return name


def _put_all(handed: Handover, folder: Path, places: Sequence[str]) -> dict[str, str]:
    """Put each image into its subfolder, and return file name -> image."""
    image_of = _file_names(handed.images)
    for (name, image), place in zip(image_of.items(), places, strict=True):
        handed.put(image, folder / place / name)
    return image_of


def _file_names(images: Sequence[str]) -> dict[str, str]:
    """Return file name -> image, in order; images with the same name in different folders get numbers."""
    taken: Counter[str] = Counter()
    image_of: dict[str, str] = {}
    for image in images:
        path = PurePosixPath(image)
        name = path.name
        while name in image_of:
            taken[path.name] += 1
            name = f"{path.stem}-{taken[path.name] + 1}{path.suffix}"
        image_of[name] = image
    return image_of


def _instructions(root: ImageRoot, folder: Path) -> Sequence[str]:
    return (f"move each image from {folder / UNANSWERED} to the folder of its class, or to {SKIP} if it is unusable",)


EXPORT = Export("a folder per class", _write, _instructions)


def _has_classes(folder: Path) -> bool:
    return any(label for _, label in _images_in(folder))


def _answers(folder: Path) -> Iterator[Answer]:
    record = read_json(folder / RECORD)
    image_of, guesses = (record.get(name, {}) if isinstance(record, dict) else {} for name in ("images", "guesses"))
    for name, label in _images_in(folder):
        bare_name = PurePosixPath(name).name
        answer = "" if label in (UNANSWERED, guesses.get(bare_name)) else label
        doubt = "" if "/" in name else LOOSE
        yield Answer(name, answer, name, str(image_of.get(bare_name, "")), bare_name, doubt=doubt)


def _images_in(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield path and class of each image, sorted by path; files that are certainly no images are left out.

    An image that lies in no subfolder has the class "".

    Raises FormError if a file in a subfolder holds answers: the name of that folder is no class.
    """
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        below = Path(place).relative_to(folder)
        if marked := sorted({*names} & {*MARKED}):
            raise FormError(f"{below / marked[0]} holds the answers, not the names of folders; name this file instead")
        unknown = "image/" if below.parts else ""  # anything may lie beside the folders
        for name in sorted(names):
            if not is_hidden(name) and (guess_type(name)[0] or unknown).startswith("image/"):
                yield (below / name).as_posix(), below.name


FORMS = (Form("a folder per class", "folder", _has_classes, _answers),)

"""The images under an image root, whatever it is: a folder, a tar, or the URL of an object store."""

from pathlib import Path

from dfal_cli.images.files import ImageFile, PackedFile, hash_of
from dfal_cli.images.folder import list_folder, resolve_in_folder
from dfal_cli.images.listing import OUTSIDE_PATH, Listing, Skipped, leads_up
from dfal_cli.images.opening import ImageError
from dfal_cli.images.stores import StoredImage, store_of
from dfal_cli.images.tars import list_tar, member_of
from dfal_cli.system.files import is_file
from dfal_cli.system.fingerprints import FileState, file_state
from dfal_cli.system.image_roots import ImageRoot, Url, is_tar


def list_images(root: ImageRoot, *, below: str = "", follow_links: bool = False) -> Listing:
    """Return all images under `root`. Raises OSError if it cannot be read.

    below: search only this folder, a POSIX path relative to `root`. follow_links: whether links may leave the root.
    """
    if isinstance(root, Url):
        return store_of(root).listing()
    if not is_tar(root):
        return list_folder(root, below=below, follow_links=follow_links)
    found = Listing([], [], Skipped())
    list_tar(str(root), "", found)
    return found


def resolve_image(root: ImageRoot, image: str, *, follow_links: bool = False) -> ImageFile:
    """Return the file of an image. Raises ImageError if it is not under the image root.

    With `follow_links`, links may lead outside, but `..` may not.
    """
    packed = _packed(root, image)
    if packed is None:
        assert isinstance(root, Path)
        return resolve_in_folder(root, image, follow_links=follow_links)
    if leads_up(image):
        raise ImageError(OUTSIDE_PATH)
    if isinstance(root, Path) and len(image) > len(packed.name):  # the tar is in the folder, maybe as a link
        resolve_in_folder(root, image[: -len(packed.name) - 1], follow_links=follow_links)
    return packed


def state_of_image(root: ImageRoot, image: str) -> FileState | None:
    """Return the state of the file of an image, which changes with it; None if the file is missing."""
    packed = _packed(root, image)
    return file_state(f"{root}/{image}") if packed is None else packed.state()


def is_there(root: ImageRoot, image: str) -> bool:
    """Return whether the file of an image exists; it need not be readable."""
    packed = _packed(root, image)
    return is_file(Path(root, image)) if packed is None else packed.state() is not None


def content_hash(root: ImageRoot, image: str) -> str:
    """Return the SHA-256 of the file of an image; "" if it is missing or not readable."""
    return hash_of(_packed(root, image) or Path(root, image))


def _packed(root: ImageRoot, image: str) -> PackedFile | None:
    """Return the file of an image that has no path of its own; None if it has one."""
    if isinstance(root, Url):
        return StoredImage(root, image)
    return member_of(f"{root}/{image}")

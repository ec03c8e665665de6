"""Hashes of all images or embeddings of a simulation.

The hashes are stored, and computed again only after the state of a file has changed. Size and time of modification
alone are not enough: two files that agree in both may change places. The full state of a file is not part of the
fingerprint of a simulation either, because a copy of the images (`cp -p`) must continue it.
"""

from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from dfal_cli.images import content_hash, state_of_image, worker_count
from dfal_cli.system.fingerprints import file_state, fingerprint
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.state_files import read_json, write_json
from dfal_cli.tables.embeddings import read_embeddings

FILES_PER_TASK = 500
"""Number of files that a thread hashes at a time: starting a task takes longer than hashing a small file."""


class Contents(NamedTuple):
    """Digests of all images or embeddings."""

    states: str
    """Of the states of the files."""
    digest: str
    """Of the SHA-256 of each image or embedding."""
    copies: int
    """Number of test images that are copies of other images."""


def contents_of_images(
    root: ImageRoot, images: Sequence[str], tested: Set[str], workers: int | None, stored: Path, reporter: Reporter
) -> Contents:
    """Hash the images, or return what `store_contents` wrote to `stored` if no file has changed since.

    tested: those of the images that are in the test set.
    """
    states = fingerprint([state_of_image(root, image) for image in images])
    if known := _stored(stored, states):
        return known

    def hash_files(names: Sequence[str]) -> list[str]:
        return [content_hash(root, image) for image in names]

    tasks = [images[start : start + FILES_PER_TASK] for start in range(0, len(images), FILES_PER_TASK)]
    hashes: list[str] = []
    with (
        reporter.progress("hashing", len(images), "images") as progress,
        ThreadPoolExecutor(max(1, worker_count(workers)), thread_name_prefix="hash") as threads,
    ):
        for result in threads.map(hash_files, tasks):
            hashes += result
            progress.advance(len(result))
    return _contents(states, images, hashes, tested)


def contents_of_embeddings(
    file: Path, images: Sequence[str], tested: Set[str], stored: Path, reporter: Reporter
) -> Contents:
    """Hash the embeddings of the images. Arguments and result as of `contents_of_images`."""
    states = fingerprint(images, file_state(str(file)))
    if known := _stored(stored, states):
        return known
    with reporter.busy("reading the embeddings"):
        names, vectors, *_ = read_embeddings(file, names=frozenset(images))
        return _contents(states, names, [sha256(vector.tobytes()).hexdigest() for vector in vectors], tested)


def _stored(path: Path, states: str) -> Contents | None:
    match read_json(path):
        case {"states": str(before), "digest": str(digest), "copies": int(copies)} if before == states:
            return Contents(states, digest, copies)
    return None


def _contents(states: str, images: Sequence[str], hashes: Sequence[str], tested: Set[str]) -> Contents:
    """hashes: of the images, "" if unknown."""
    hash_of = dict(zip(images, hashes, strict=True))
    untested = {digest for image, digest in hash_of.items() if image not in tested} - {""}
    return Contents(states, fingerprint(list(hashes)), sum(hash_of[image] in untested for image in tested))


def store_contents(path: Path, contents: Contents) -> None:
    """Store the digests for the next call, unless they are stored already."""
    if read_json(path) != contents._asdict():
        write_json(path, contents._asdict())

"""What is in the images of a simulation: every file is hashed once, and again only when one of them has been touched.

Size and time do not tell: two files that are alike in both can change places. Nor may the rest of a file's state
decide by itself: a copy of the images (`cp -p`) continues the simulation.
"""

import itertools
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from dfal_cli.images import worker_count
from dfal_cli.system.fingerprints import file_state, fingerprint, sha256_or_empty
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.state_files import read_json, write_json

HASHED_AT_ONCE = 500
"""By a thread: handing over each file by itself takes longer than hashing a small one."""


class Contents(NamedTuple):
    """Two digests of many files, and how many of those to test on are copies of others."""

    states: str
    digest: str
    """Of their SHA-256."""
    copies: int


def contents_of(
    root: Path, images: Sequence[str], tested: Set[str], workers: int | None, known: Path, reporter: Reporter
) -> Contents:
    """Hash the images; or take what `keep_contents` has written to `known` if no file has been touched since.

    tested: those of the images that are in the test.
    """
    states = fingerprint([file_state(f"{root}/{image}") for image in images])
    match read_json(known):
        case {"states": str(before), "digest": str(digest), "copies": int(copies)} if before == states:
            return Contents(states, digest, copies)

    def hashed(part: Sequence[str]) -> list[str]:
        return [sha256_or_empty(root / image) for image in part]

    parts = [images[start : start + HASHED_AT_ONCE] for start in range(0, len(images), HASHED_AT_ONCE)]
    hashes = []
    with (
        reporter.progress("hashing", len(images), "images") as progress,
        ThreadPoolExecutor(max(1, worker_count(workers)), thread_name_prefix="hash") as threads,
    ):
        for part in threads.map(hashed, parts):
            hashes.append(part)
            progress.advance(len(part))
    of_image = dict(zip(images, itertools.chain.from_iterable(hashes), strict=True))
    others = {content for image, content in of_image.items() if image not in tested} - {""}
    return Contents(states, fingerprint(hashes), sum(of_image[image] in others for image in tested))


def keep_contents(known: Path, contents: Contents) -> None:
    """Spare the next call the hashing."""
    if read_json(known) != contents._asdict():
        write_json(known, contents._asdict())

"""Images read from tars and from an object store, against the same images in a folder: python tests/benchmarks/tars.py

Every row reads the same MNIST PNGs with dfal's reader and threads. `list` is the listing, which for a tar reads all of
its headers; `decode` reads all images at 1 x 28 x 28. Rounds alternate in one process, after one that is not counted,
and the minimum of each is shown, with its ratio to the folder. CPU seconds are less disturbed by a busy machine. The
object store is moto's server on this machine, whose own CPU time is in its row: it tells what a request costs dfal and
the server together, not what a network does. `--members N` also makes an index of a tar of so many empty images.
"""

import argparse
import contextlib
import resource
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from comparison.folders import image_folder  # noqa: E402

from dfal_cli.images import (  # noqa: E402
    ImageFolder,
    InputFormat,
    in_batches,
    list_images,
    tars,
)
from dfal_cli.system.image_roots import ImageRoot  # noqa: E402
from tests.object_store import running  # noqa: E402
from tests.packed import pack  # noqa: E402

MNIST = InputFormat((1, 28, 28))
BATCH, SHARDS = 256, 5


class Took(NamedTuple):
    """Time of a piece of work."""

    seconds: float
    cpu_seconds: float


def timed(work: Callable[[], object]) -> Took:
    """Do the work."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - began, time.process_time() - cpu)


def make_roots(keep: Path, count: int) -> dict[str, ImageRoot]:
    """The same images in a folder, in a tar and in a folder of tars."""
    found = image_folder("mnist", keep, count)
    names = list_images(found.root).images[:count]
    folder = keep / f"folder-{count}"
    for name in names:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.write_bytes((found.root / name).read_bytes())
    tar, shards = keep / f"one-{count}.tar", keep / f"shards-{count}"
    if not tar.exists():
        pack(folder, tar, names)
        for shard in range(SHARDS):
            pack(folder, shards / f"{shard}.tar", names[shard::SHARDS])
    return {"folder": folder, "tar": tar, f"folder of {SHARDS} tars": shards}


def read_all(root: ImageRoot) -> None:
    """List and decode all images."""
    source = ImageFolder(root)
    batches = source.batches(in_batches(source.listing().images, BATCH), MNIST, None)
    assert sum(len(batch.images) for batch in batches) > 0


def rows_of(roots: dict[str, ImageRoot]) -> Iterator[tuple[str, Took, Took]]:
    """What each root takes to list, and to list and decode."""
    for name, root in roots.items():
        tars._indexes.clear()
        yield name, timed(lambda root=root: list_images(root)), timed(lambda root=root: read_all(root))


def compare(roots: dict[str, ImageRoot], rounds: int) -> None:
    """Print a row for each root: the least time of all rounds."""
    kept = [list(rows_of(roots)) for _ in range(rounds + 1)][1:]
    print("| images in | list, s | CPU s | x folder, CPU | decode, s | CPU s | x folder | x folder, CPU |")
    print("| --- " * 8 + "|")
    floor: list[Took] = []
    for same in zip(*kept, strict=True):
        listing, decoding = (Took(*map(min, zip(*column, strict=True))) for column in list(zip(*same, strict=True))[1:])
        floor = floor or [listing, decoding]
        cells = (
            same[0][0], f"{listing.seconds:.2f}", f"{listing.cpu_seconds:.2f}",
            f"{listing.cpu_seconds / floor[0].cpu_seconds:.2f}", f"{decoding.seconds:.2f}",
            f"{decoding.cpu_seconds:.2f}", f"{decoding.seconds / floor[1].seconds:.2f}",
            f"{decoding.cpu_seconds / floor[1].cpu_seconds:.2f}",
        )  # fmt: skip
        print("|", " | ".join(cells), "|")


def make_index(folder: Path, members: int) -> None:
    """Make a tar of empty images and its index; print time and memory."""
    tar = folder / f"{members}.tar"
    with tar.open("wb") as handle:
        for number in range(members):
            handle.write(tarfile.TarInfo(f"train/class_{number % 10}/image_{number:08d}.png").tobuf())
        handle.write(bytes(1024))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = timed(lambda: tars.index_of(str(tar)))
    mebibytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    each = took.cpu_seconds / members * 1e6
    print(
        f"\nindex of {members:,} members: {took.seconds:.1f} s, {took.cpu_seconds:.1f} CPU s, {each:.1f} CPU us each;"
    )
    print(f"and {mebibytes:,.0f} MiB at the peak, {mebibytes * 2**20 / members:,.0f} bytes each")


def main() -> None:
    """Make the images, read them, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the images for the next run")
    parser.add_argument("--images", type=int, default=5_000, metavar="N", help="how many images to read")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often to read them")
    parser.add_argument("--members", type=int, default=0, metavar="N", help="also index a tar of so many members")
    parser.add_argument("--stored", type=int, default=0, metavar="N", help="also read so many from an object store")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        keep = options.keep or Path(name)
        keep.mkdir(parents=True, exist_ok=True)
        if options.members:
            make_index(Path(name), options.members)
        roots = make_roots(keep, options.images)
        print(f"\n{options.images:,} images, {time.strftime('%Y-%m-%d')}\n")
        compare(roots, options.rounds)
        if options.stored:
            folder = make_roots(keep, options.stored)["folder"]
            assert isinstance(folder, Path)
            store = stack.enter_context(running()).filled(folder)
            print(f"\n{options.stored:,} images, {time.strftime('%Y-%m-%d')}\n")
            compare({"folder": folder, "object store": store}, options.rounds)


if __name__ == "__main__":
    main()

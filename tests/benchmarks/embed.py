"""`dfal embed` of photos with lite0, against its floor: python tests/benchmarks/embed.py [--keep DIR] [--photos N ...]

Every row is a process of its own, start-up included. The floor decodes the same photos and does one forward pass, with
dfal's reader, threads, batches and network, and keeps nothing. The plain script is what one would write without dfal:
torchvision's transforms, a DataLoader and timm's network. Rounds alternate, and the minimum of each row is shown.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from comparison.folders import ImageFolder, image_folder
from score import FLOORS, Ran, run

# No torch in here, as in score.py.

PHOTOS = (150, 1_500)
COLUMNS = ("process", "photos", "s", "CPU s", "photos/s", "peak MiB", "x floor", "x floor, CPU")


def link_photos(folder: ImageFolder, count: int, keep: Path) -> Path:
    """A folder of links to so many of the images, evenly spread over the classes."""
    root = keep / f"photos-{count}"
    if not root.exists():
        photos = sorted(path for path in folder.root.rglob("*.*") if path.suffix in (".jpg", ".png"))
        unfinished = keep / f"unfinished-{count}"
        unfinished.mkdir(exist_ok=True)
        for number in range(count):
            photo = photos[number * len(photos) // count]
            (unfinished / f"{number:06d}{photo.suffix}").unlink(missing_ok=True)
            os.link(photo, unfinished / f"{number:06d}{photo.suffix}")
        unfinished.rename(root)
    return root


def rows_of(photos: Path, keep: Path) -> Iterator[tuple[str, Ran]]:
    """The floor, `dfal embed`, and a plain script."""
    yield "floor: decode, one forward pass", run(FLOORS, "embed", photos, "lite0")
    yield "embed", run(
        "-m", "dfal_cli", "embed", "--images", photos, "--out", keep / "embeddings.parquet", "--backbone", "lite0",
        "--device", "cpu", "--quiet", "--force",
    )  # fmt: skip
    yield "plain script", run(FLOORS, "script", photos, "lite0")


def main() -> None:
    """Make the folders, run the processes, print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the photos for the next run")
    parser.add_argument("--photos", type=int, nargs="+", default=PHOTOS, metavar="N", help="how many photos to embed")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="how often to run each process")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        keep = options.keep or Path(name)
        keep.mkdir(parents=True, exist_ok=True)
        folder = image_folder("clothing10", keep, max(options.photos))
        cores = len(os.sched_getaffinity(0))
        print(f"{folder.name}, lite0, {cores} cores, Python {sys.version.split()[0]}, {time.strftime('%Y-%m-%d')}\n")
        for row in (COLUMNS, ["---"] * len(COLUMNS)):
            print("|", " | ".join(row), "|")
        for count in options.photos:
            photos = link_photos(folder, count, keep)
            rounds = [dict(rows_of(photos, keep)) for _ in range(options.rounds)]
            best = {what: Ran(*map(min, zip(*(ran[what] for ran in rounds), strict=True))) for what in rounds[0]}
            for what, ran in best.items():
                show(what, count, ran, next(iter(best.values())))


def show(what: str, count: int, ran: Ran, floor: Ran) -> None:
    """Print a row of a Markdown table."""
    cells = (
        what, f"{count:,}", f"{ran.seconds:.1f}", f"{ran.cpu_seconds:.1f}", f"{count / ran.seconds:,.1f}",
        f"{ran.mebibytes:,.0f}", f"{ran.seconds / floor.seconds:.2f}", f"{ran.cpu_seconds / floor.cpu_seconds:.2f}",
    )  # fmt: skip
    print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()

"""Decoding on one core, against torchvision's decoder alone: python tests/benchmarks/decoding.py [--keep DIR]

Every row reads the same files, which are in the system's file cache, in one thread; CPU time, the least of three runs.
"""

import argparse
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torchvision
from comparison.folders import image_folder
from comparison.timing import least_seconds
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional

from dfal_cli.images.decode import InputFormat, read_image
from dfal_cli.tables import read_labels

SETS = {"clothing10": (3, 224, 224), "mnist": (1, 28, 28)}
"""Data sets, and the input shape of a network for them."""
CPU = torch.device("cpu")


def ways(shape: tuple[int, int, int]) -> dict[str, Callable[[Path], object]]:
    """Functions of an image file, by what they do."""
    mode = ImageReadMode.RGB if shape[0] == 3 else ImageReadMode.GRAY
    return {
        "torchvision, decoding alone": lambda path: decode_image(str(path), mode),
        "torchvision, resized": lambda path: functional.resize(decode_image(str(path), mode), list(shape[1:])),
        "dfal": lambda path: read_image(path, InputFormat(shape)),
    }


def print_table(name: str, files: Sequence[Path], shape: tuple[int, int, int]) -> None:
    """Print images per second of every way, and relative to the first."""
    print(f"\n### decoding.py, {name}\n\n| decoding | images/s on one core | x the floor |\n| --- | --- | --- |")
    speeds: list[float] = []
    for way, function in ways(shape).items():
        speeds.append(len(files) / least_seconds(lambda function=function: [function(path) for path in files], CPU))
        print(f"| {way} | {speeds[-1]:,.0f} | {speeds[-1] / speeds[0]:.2f} |", flush=True)


def main() -> None:
    """Measure photos and digits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the data here for the next run")
    parser.add_argument("--images", type=int, default=300, metavar="N", help="number of images of each set")
    options = parser.parse_args()
    torch.set_num_threads(1)
    machine = platform.processor() or platform.machine()
    print(f"{machine}, torchvision {torchvision.__version__}, {options.images} images of each set")
    with tempfile.TemporaryDirectory() as folder:
        for name, shape in SETS.items():
            images = image_folder(name, options.keep or Path(folder), options.images)
            names = list(read_labels(images.labels)["image"])
            some = names[:: max(1, len(names) // options.images)][: options.images]
            print_table(images.name, [images.root / image for image in some], shape)


if __name__ == "__main__":
    main()

"""What `dfal score` cannot do without, each as a process of its own: score.py runs it and compares.

python tests/benchmarks/floors.py decode FOLDER 1,28,28     read the images, with dfal's reader and workers
python tests/benchmarks/floors.py forward FOLDER CHECKPOINT     the same, and one forward pass
python tests/benchmarks/floors.py tensors PIXELS.npy CHECKPOINT     load the network, one forward pass from memory
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dfal_cli.images import ImageFolder, InputFormat, read_batches
from dfal_cli.images.pool import find_pool

BATCH = 256


def decoded(folder: Path, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
    """Decode every image of the folder: batches (B, C, H, W) uint8."""
    for part in read_batches(
        folder, find_pool(ImageFolder(folder), [], [], print).listing.images, InputFormat(shape), BATCH
    ):
        yield part.pixels


def forward(batches: Iterator[np.ndarray], checkpoint: Path) -> None:
    """Run each batch through the network, once."""
    import torch

    from dfal_cli.checkpoint import load_checkpoint

    network = load_checkpoint(checkpoint)
    with torch.no_grad():
        for pixels in batches:
            network.model(torch.from_numpy(pixels).float() / 255)


def main() -> None:
    """Do what the arguments say."""
    what, source, further = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if what == "decode":
        channels, height, width = map(int, further.split(","))
        for _ in decoded(source, (channels, height, width)):
            pass
        return
    if what == "tensors":
        pixels = np.load(source)
        batches = (pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH))
    else:
        batches = decoded(source, (1, 28, 28))
    forward(batches, Path(further))


if __name__ == "__main__":
    main()

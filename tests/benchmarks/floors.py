"""What `dfal score` and `dfal embed` cannot do without, each as a process of its own: score.py and embed.py compare.

python tests/benchmarks/floors.py decode FOLDER 1,28,28     read the images, with dfal's reader and workers
python tests/benchmarks/floors.py forward FOLDER CHECKPOINT     the same, and one forward pass
python tests/benchmarks/floors.py tensors PIXELS.npy CHECKPOINT     load the network, one forward pass from memory
python tests/benchmarks/floors.py embed FOLDER lite0     read the images, and one forward pass through the backbone
python tests/benchmarks/floors.py script FOLDER lite0     the same with torchvision's transforms, a DataLoader and timm
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dfal_cli.images import ImageFolder, InputFormat, in_batches, read_batches
from dfal_cli.images.pool import find_pool

BATCH = 256


def decoded(folder: Path, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
    """Decode every image of the folder: batches (B, C, H, W) uint8."""
    images = find_pool(ImageFolder(folder), [], [], print).listing.images
    for part in read_batches(folder, in_batches(images, BATCH), InputFormat(shape)):
        yield part.pixels


def forward(batches: Iterator[np.ndarray], checkpoint: Path) -> None:
    """Run each batch through the network, once."""
    import torch

    from dfal_cli.checkpoint import load_checkpoint

    network = load_checkpoint(checkpoint)
    with torch.no_grad():
        for pixels in batches:
            network.model(torch.from_numpy(pixels).float() / 255)


def embed(folder: Path, name: str) -> None:
    """Decode every image of the folder and run it through a backbone, once, as `dfal embed` does."""
    import torch

    from dfal_cli.models.backbones import load_backbone
    from dfal_cli.system.device import first_batch_size

    backbone = load_backbone(name)
    model = backbone.model.to(memory_format=torch.channels_last)
    images = find_pool(ImageFolder(folder), [], [], print).listing.images
    size = first_batch_size(torch.device("cpu"), backbone.input_format.shape)
    with torch.inference_mode():
        for part in read_batches(folder, in_batches(images, size), backbone.input_format):
            model((torch.from_numpy(part.pixels).float() / 255).contiguous(memory_format=torch.channels_last))


def script(folder: Path, name: str) -> None:
    """Embed every image of the folder without dfal, but for the weights."""
    import torch
    from PIL import Image, ImageOps
    from torchvision import transforms

    from dfal_cli.models.backbones import load_backbone

    model = load_backbone(name).model
    transform = transforms.Compose([
        transforms.Resize(256, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224), transforms.ToTensor()
    ])  # fmt: skip

    class Photos(torch.utils.data.Dataset):
        paths = sorted(folder.iterdir())

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, index: int) -> torch.Tensor:
            with Image.open(self.paths[index]) as image:
                return transform(ImageOps.exif_transpose(image).convert("RGB"))

    vectors = []
    with torch.inference_mode():
        for images in torch.utils.data.DataLoader(Photos(), 32, num_workers=2):
            vectors.append(model(images).numpy())
    np.save("/dev/null", np.concatenate(vectors))


def main() -> None:
    """Do what the arguments say."""
    what, source, further = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if what in ("embed", "script"):
        {"embed": embed, "script": script}[what](source, further)
        return
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

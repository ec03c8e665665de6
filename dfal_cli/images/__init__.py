"""Image files: finding them under a folder, decoding them sensibly, reading them in a stream, keeping the pixels."""

from dfal_cli.images.cache import cached
from dfal_cli.images.decode import ImageError, Probe, decode_image, probe_image
from dfal_cli.images.folder import list_images
from dfal_cli.images.stream import Decoded, ImageReader, MemoryReader, read_batches, read_from_disk

__all__ = [
    "Decoded",
    "ImageError",
    "ImageReader",
    "MemoryReader",
    "Probe",
    "cached",
    "decode_image",
    "list_images",
    "probe_image",
    "read_batches",
    "read_from_disk",
]

"""Image files: finding, decoding and caching them, and reading them in a stream of batches."""

from dfal_cli.images.bulk_decoding import UnreadableImagesError
from dfal_cli.images.cache import cached
from dfal_cli.images.decode import DecodedImage, InputFormat, Probe, Shape, decode_image, probe_image
from dfal_cli.images.files import ImageFile
from dfal_cli.images.flat import are_flat, flat_in_words
from dfal_cli.images.listing import Listing, Skipped
from dfal_cli.images.opening import ImageError, MissingImageError
from dfal_cli.images.prepared import PreparedImages, prepare
from dfal_cli.images.resize import STRETCH, Resize
from dfal_cli.images.roots import content_hash, is_there, list_images, resolve_image, state_of_image
from dfal_cli.images.shape import common_shape, own_size
from dfal_cli.images.source import ImageFolder, ImageSource, open_images
from dfal_cli.images.stream import DecodedBatch, ImageReader, in_batches, read_batches, read_from_disk, worker_count
from dfal_cli.images.white import NO_MAX_VALUES, MaxValues, check_white, common_white, scale_warnings

__all__ = [
    "NO_MAX_VALUES",
    "STRETCH",
    "DecodedBatch",
    "DecodedImage",
    "ImageError",
    "ImageFile",
    "ImageFolder",
    "ImageReader",
    "ImageSource",
    "InputFormat",
    "Listing",
    "MaxValues",
    "MissingImageError",
    "PreparedImages",
    "Probe",
    "Resize",
    "Shape",
    "Skipped",
    "UnreadableImagesError",
    "are_flat",
    "cached",
    "check_white",
    "common_shape",
    "common_white",
    "content_hash",
    "decode_image",
    "flat_in_words",
    "in_batches",
    "is_there",
    "list_images",
    "open_images",
    "own_size",
    "prepare",
    "probe_image",
    "read_batches",
    "read_from_disk",
    "resolve_image",
    "scale_warnings",
    "state_of_image",
    "worker_count",
]

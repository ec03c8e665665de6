"""The options of `dfal embed`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dfal_cli.steps.option import NETWORK, OUTPUT, Option, Shapes
from dfal_cli.steps.option_groups import CommonOptions, Images, InferenceOptions, ResizeToSquare


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(CommonOptions, InferenceOptions):
    """Embed the images: compute the vector that a pretrained network makes of each image."""

    images: Images
    out: Annotated[Path, Option("Embeddings file to write (.parquet).", OUTPUT, metavar="FILE", shapes=Shapes.NOTHING)]
    backbone: Annotated[
        str | None,
        Option(
            "Backbone: lite0, lite2, a network of torchvision or timm, or package.module:function.",
            NETWORK, metavar="NAME", default="lite0",
        ),
    ] = None  # fmt: skip
    weights: Annotated[
        Path | None,
        Option(
            "Weights file of the backbone (.pth, .safetensors).", NETWORK, metavar="FILE", shapes=Shapes.BY_CONTENTS
        ),
    ] = None
    pretrained: Annotated[
        bool, Option("Download the backbone's own weights, once.", NETWORK, shapes=Shapes.NOTHING)
    ] = False
    image_size: Annotated[
        int | None,
        Option("Side of the square input in pixels.", NETWORK, minimum=1, default="that of the weights"),
    ] = None
    resize: ResizeToSquare = None
    white: Annotated[
        float | None,
        Option(
            "Pixel value of white in images of more than 8 bits, such as 4095 for 12 bits.",
            NETWORK, metavar="VALUE", default="the maximum of their type",
        ),
    ] = None  # fmt: skip

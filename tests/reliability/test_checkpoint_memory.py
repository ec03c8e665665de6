"""Loading a checkpoint takes memory by the size of its file, whatever the file says of itself."""

import os
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import torch

from dfal_cli.models import torchvision_backbones
from dfal_cli.models.head_file import save_head
from tests.conftest import write
from tests.reliability.lying import honest, put_together, taken_apart, with_metadata

PEAK = """
    import resource, sys
    from dfal_cli.checkpoint import load_checkpoint
    from dfal_cli.errors import DataError
    from dfal_cli.models.weights import read_weights
    load_checkpoint("honest.safetensors")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in sys.argv[1:]:
        try:
            read_weights(__import__("pathlib").Path(path)) if path.startswith("weights") else load_checkpoint(path)
            print("loaded")
        except DataError as error:
            print(error)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def megabytes_to_load(folder, *paths):
    """What it takes to load these files, beyond a small one that is in order; what was said of each."""
    write(folder / "peak.py", textwrap.dedent(PEAK))
    done = subprocess.run(
        [sys.executable, "peak.py", *paths], cwd=folder, capture_output=True, text=True, check=True, timeout=300
    )
    *said, peak = done.stdout.splitlines()
    return int(peak), said


def hole(folder):
    """A file of a terabyte that takes no room on the disk, and says that all of it is one tensor."""
    header, _ = taken_apart(folder / "honest.safetensors")
    huge = {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}
    path = put_together(folder / "hole.safetensors", {"__metadata__": header["__metadata__"], "0.bias": huge}, b"")
    os.truncate(path, path.stat().st_size + 2**40)
    return path.name


def headed(path, name, side):
    """A head on a SqueezeNet, said to be one on another backbone."""
    body = torchvision_backbones.build("squeezenet1_1", (3, 224, 224))
    backbone = {
        "backbone": name, "input_shape": [3, side, side], "white": None,
        "resize": {"how": "stretch", "shorter_side": None, "interpolation": "bilinear"},
        "normalisation": {"mean": [0.0], "std": [1.0]},
    }  # fmt: skip
    save_head(
        path, np.zeros((2, 512)), np.zeros(2), classes=("a", "b"), embeddings=backbone,
        backbone={key: value.numpy() for key, value in body.state_dict().items()}, extra_metadata={},
    )  # fmt: skip


def packed(folder):
    """A state dict of 200 MB in a file of 200 kB."""
    torch.save({"weight": torch.zeros(50_000_000)}, folder / "large.pth")
    with (
        zipfile.ZipFile(folder / "large.pth") as large,
        zipfile.ZipFile(folder / "weights.pth", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for name in large.namelist():
            small.writestr(name, large.read(name))
    return "weights.pth"


def test_files_that_claim_to_be_large_take_no_memory(tmp_path):
    honest(tmp_path / "honest.safetensors")
    gigantic = ("regnet_y_128gf", "vit_h_14", "vgg19", "lenet5")  # 645, 632 and 144 million weights, and 11 billion
    for name in gigantic:
        shape = [1, 4096, 4096] if name == "lenet5" else [3, 224, 224]
        with_metadata(tmp_path / name, architecture={"name": name, "arguments": {}}, input_shape=shape)
    honest(tmp_path / "wide", "squeezenet1_1", (3, 12_000, 12_000))  # a forward pass would take 27 GB
    headed(tmp_path / "headed", "regnet_y_128gf", 224)
    headed(tmp_path / "wide_headed", "squeezenet1_1", 4096)  # a forward pass would take 3 GB
    paths = (*gigantic, hole(tmp_path), "headed", packed(tmp_path), "wide", "wide_headed")
    peak, said = megabytes_to_load(tmp_path, *paths)
    assert peak < 100
    assert all("do not match its network" in line for line in said[:6])
    assert "not a state dict" in said[6]
    assert said[7:] == ["loaded", "loaded"]


def test_loading_takes_a_few_times_the_size_of_the_file(tmp_path):
    honest(tmp_path / "honest.safetensors")
    size = honest(tmp_path / "large.safetensors", shape=(1, 128, 128)).stat().st_size // 2**20
    peak, said = megabytes_to_load(tmp_path, "large.safetensors")
    assert said == ["loaded"]
    assert peak < 4 * size + 50

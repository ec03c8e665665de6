"""The image folders that are measured on; no torch here, or the peak memory of child processes could not be seen."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parents[3]
REAL_DATA = ROOT.parent / "shared" / "data"
SKETCHES = ROOT / "sample_data" / "make_sample_data.py"


class ImageFolder(NamedTuple):
    """Images with a labels file, `image,label`."""

    root: Path
    labels: Path
    name: str
    """Of the data, as a table should tell it."""


def image_folder(name: str, keep: Path, sketches: int) -> ImageFolder:
    """Make the named data set in `keep`, unless it is there; without the real data, so many sketches like the sample's.

    The real data are a script beside the checkout, `shared/data/make_folder.py`.
    """
    root = keep / name
    if not (root / "labels.csv").exists():
        if not (REAL_DATA / "make_folder.py").exists():
            return _sketched(keep / f"sketches-{sketches}", sketches)
        command = [sys.executable, str(REAL_DATA / "make_folder.py"), name, str(root), "--split", "all"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return ImageFolder(root, root / "labels.csv", name)


def _sketched(root: Path, count: int) -> ImageFolder:
    folder = ImageFolder(root, root / "labels.csv", "sample_data, drawn larger")
    if folder.labels.exists():
        return folder
    drawing = _module(SKETCHES)
    root.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    rows = ["image,label"]
    for number, label in enumerate(generator.choice(list(drawing.IMAGES_PER_CLASS), count)):
        drawing.sketch(generator, label).save(root / f"{number:05d}.png")
        rows.append(f"{number:05d}.png,{label}")
    folder.labels.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def _module(path: Path) -> Any:
    """Import a script that is no part of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""Draw dfal_cli/docs/preview.png, the README's preview page of the sample data: python tests/readme_pictures.py

Needs Chromium, which takes the screenshot. dfal_cli/docs/round.svg is drawn by hand.
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
SAMPLE_DATA = ROOT / "sample_data"
PICTURE = ROOT / "dfal_cli" / "docs" / "preview.png"
WIDTH, HEIGHT, SCALE, COLOURS = 1400, 860, 0.75, 64


def dfal(*arguments: object) -> None:
    """Run a command of dfal."""
    subprocess.run([sys.executable, "-m", "dfal_cli", *map(str, arguments), "--quiet"], check=True)


def write_preview(page: Path) -> None:
    """Train on the sample labels and write the preview page of the twenty smallest margins."""
    model, scores = page.with_name("model.safetensors"), page.with_name("scores.parquet")
    data = ("--images", SAMPLE_DATA / "images", "--labels", SAMPLE_DATA / "labels.csv")
    dfal("train", *data, "--restarts", 5, "--out", model)
    dfal("score", *data, "--exclude", SAMPLE_DATA / "test.csv", "--checkpoint", model,
         "--nearest", 20, "--twins", 20, "--out", scores)  # fmt: skip
    dfal("select", "--scores", scores, "--count", 20, "--out", page.with_name("queries.csv"), "--preview", page)


def screenshot(page: Path) -> Image.Image:
    """The page as a browser shows it."""
    picture = page.with_suffix(".png")
    size = (f"--window-size={WIDTH},{HEIGHT}", f"--force-device-scale-factor={SCALE}")
    options = ("--headless", "--no-sandbox", "--hide-scrollbars", *size)
    subprocess.run(["chromium", *options, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True)
    return Image.open(io.BytesIO(picture.read_bytes()))


def main() -> None:
    """Write the picture, with few colours so that it stays small."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "queries.html"
        write_preview(page)
        screenshot(page).convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()

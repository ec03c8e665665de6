"""Draw the README's pages of the sample data, dfal_cli/docs/preview.png and label.png: python tests/readme_pictures.py

Needs Chromium, which takes the screenshots, and Playwright. dfal_cli/docs/round.svg is drawn by hand.
"""

import csv
import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.labelling.browser import chromium  # noqa: E402
from tests.labelling.serving import served  # noqa: E402

SAMPLE_DATA = ROOT / "sample_data"
PICTURE = ROOT / "dfal_cli" / "docs" / "preview.png"
LABEL_PICTURE = ROOT / "dfal_cli" / "docs" / "label.png"
LABEL_SIZE, ANSWERED, ASKED = {"width": 1280, "height": 760}, 30, 60
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


def labelling_page(folder: Path) -> Image.Image:
    """The labelling page with a list of which some images are answered."""
    rows = list(csv.DictReader((SAMPLE_DATA / "oracle.csv").open(encoding="utf-8")))[:ASKED]
    queries = folder / "queries.csv"
    lines = [f"{rank},{row['image']},,,\n" for rank, row in enumerate(rows, 1)]
    queries.write_text("rank,image,label,margin,twin\n" + "".join(lines))
    classes = sorted({row["label"] for row in rows})
    with served(queries, SAMPLE_DATA / "images", class_names=classes) as page, chromium() as browser:
        for row in rows[:ANSWERED]:
            page.answer(row["image"], row["label"])
        tab = browser.new_page(viewport=LABEL_SIZE)
        tab.add_init_script("sessionStorage.setItem('person', 'me')")  # the one who gave the answers above
        tab.goto(page.address)
        tab.wait_for_selector("#photo img")
        tab.wait_for_load_state("networkidle")
        return Image.open(io.BytesIO(tab.screenshot()))


def main() -> None:
    """Write the pictures; the preview page, which has more of them, with few colours so that it stays small."""
    with tempfile.TemporaryDirectory() as folder:
        labelling_page(Path(folder)).convert("RGB").save(LABEL_PICTURE, optimize=True)
        page = Path(folder) / "queries.html"
        write_preview(page)
        screenshot(page).convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()

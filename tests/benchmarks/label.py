"""How quick the labelling page is: python tests/benchmarks/label.py

Prints the time from a key press to the next image on the screen, with photos of 12 megapixels in headless Chromium, and
how a list of 100,000 queries opens and takes answers.
"""

import http.client
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.labelling.browser import chromium

PHOTOS, DIFFERENT, SIZE = 50, 4, (4000, 3000)
WARM, SECONDS_BETWEEN_KEYS = 5, 0.7
ROWS, ANSWERS = 100_000, 200
MEASURE = """
() => {
  window.times = [];
  let began = 0;
  addEventListener("keydown", () => (began = performance.now()), true);
  const painted = () => requestAnimationFrame(() => setTimeout(() => times.push(performance.now() - began)));
  new MutationObserver(() => document.querySelector("#photo img") && painted())
    .observe(document.getElementById("photo"), { childList: true });
}
"""
SAVING = """
performance.getEntriesByType("resource").filter(each => each.name.endsWith("/answers")).map(each => each.duration)
"""
"""Durations of the requests that save answers, in ms."""


def draw_photos(folder: Path) -> None:
    """Write photos with edges, surfaces and noise, about as large as a camera's; some are the same."""
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 6, (SIZE[1], SIZE[0], 1))
    for number in range(DIFFERENT):
        colours = generator.integers(0, 255, (75, 100, 3), dtype=np.uint8)
        pixels = np.asarray(Image.fromarray(colours).resize(SIZE, Image.Resampling.BICUBIC)) + noise
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:05d}.jpg", quality=90)
    for number in range(DIFFERENT, PHOTOS):
        shutil.copy(folder / f"{number % DIFFERENT:05d}.jpg", folder / f"{number:05d}.jpg")


def write_list(path: Path, rows: int) -> None:
    """Write a query list; images beyond the photos do not exist."""
    lines = [f"{rank},{rank - 1:05d}.jpg,,0.01234567,\n" for rank in range(1, rows + 1)]
    path.write_text("rank,image,label,margin,twin\n" + "".join(lines))


class Command:
    """`dfal label` as a process."""

    def __init__(self, folder: Path) -> None:
        self.began = time.perf_counter()
        arguments = ("--queries", folder / "queries.csv", "--images", folder, "--class-names", "a,b,c", "--no-browser")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dfal_cli", "label", *map(str, arguments)], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        line = next(line for line in self.process.stderr if "label in the browser" in line)
        self.seconds = time.perf_counter() - self.began
        self.address = line.split()[-1]

    def memory(self) -> float:
        """Resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def end(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.communicate()


def key_to_image(folder: Path) -> None:
    """Press a key for each photo, and print how long the next one took to be on the screen."""
    draw_photos(folder)
    write_list(folder / "queries.csv", PHOTOS)
    command = Command(folder)
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": 1600, "height": 1000})
        tab.goto(command.address)
        tab.wait_for_selector("#photo img")
        time.sleep(10)  # ten photos are loaded in advance
        tab.evaluate(MEASURE)
        for number in range(PHOTOS - 1):  # as fast as a quick person
            tab.keyboard.press("abc123"[3 + number % 3])
            time.sleep(SECONDS_BETWEEN_KEYS)
        times = tab.evaluate("times")[WARM:]
        saving = tab.evaluate(SAVING)[WARM:]
    command.end()
    slowest = sorted(times)[-max(1, len(times) // 20)]
    print(f"key press to next image, {PHOTOS} photos of 12 megapixels: median {statistics.median(times):.0f} ms, "
          f"95 % within {slowest:.0f} ms ({len(times)} measured); "
          f"of these {statistics.median(saving):.0f} ms until the answer is on disk")  # fmt: skip


def large_list(folder: Path) -> None:
    """Open a list of 100,000 rows, and answer some of them."""
    Image.new("RGB", (64, 64)).save(folder / "00000.jpg")
    write_list(folder / "queries.csv", ROWS)
    command = Command(folder)
    with chromium() as browser:
        tab = browser.new_page()
        began = time.perf_counter()
        tab.goto(command.address)
        tab.wait_for_selector("#name:not(:empty)")
        page = time.perf_counter() - began
    print(f"list of {ROWS:,} rows: listening after {command.seconds:.2f} s, page after another {page:.2f} s")
    address = urlsplit(command.address)
    connection = http.client.HTTPConnection(address.netloc)
    headers = {"Origin": f"http://{address.netloc}", "Content-Type": "application/json"}
    before, times = command.memory(), []
    for number in range(ANSWERS):
        row = number * (ROWS // ANSWERS)
        answers = [{"image": f"{row:05d}.jpg", "label": "b", "before": ""}]
        body = json.dumps({"person": "me", "answers": answers, "after": row, "count": 11})
        began = time.perf_counter()
        connection.request("POST", f"{address.path}answers", body, headers)
        reply = connection.getresponse()
        assert json.loads(reply.read())["rows"][0]["label"] == "b"
        times.append(time.perf_counter() - began)
    print(f"  an answer: median {1000 * statistics.median(times):.1f} ms; memory {before:.0f} MB, "
          f"after {ANSWERS} answers {command.memory():.0f} MB")  # fmt: skip
    command.end()


def main() -> None:
    """Measure both."""
    for measure in (key_to_image, large_list):
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder))


if __name__ == "__main__":
    main()

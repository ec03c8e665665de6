"""Long lists of names, time and memory: python tests/benchmarks/names.py [--names N N] [--steps STEP ...] [--keep DIR]

What listing, part files, the rows of `score` and every kind of `select` take for two numbers of images, and what that
amounts to for 100 million, on a straight line. Each step is a process of its own; its memory is what the process took
beyond its imports. Only the first step reads a folder: the names of the others are made up.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

NAMES = (1_000_000, 10_000_000)
RECKONED = 100_000_000
FOR_REAL = 10
"""The folder has a tenth of the names."""
IN_A_FOLDER = 1_000
LINKS = 60_000
"""A file has at most 65,000 names on ext4."""
QUERIES = LABELS = 1_000
EXCLUDED = 10
"""One image in ten is excluded, where any are."""
CLASSES = tuple(f"class {number}" for number in range(10))
ROWS_PER_PART, DIMENSIONS = 50_000, 32
COLUMNS = ("step", "images", "s", "CPU s", "MiB", "bytes an image", "CPU s for 100 million", "GiB for 100 million")


def name_of(number: int) -> str:
    """The name of an image; names are in the order of their numbers."""
    return f"photos/{number // IN_A_FOLDER:06d}/{number:09d}.jpg"


class MadeUp:
    """A folder of `count` images without files."""

    def __init__(self, count: int) -> None:
        self.count, self.root = count, Path("/photos")

    def listing(self):
        """All names."""
        from dfal_cli.images import Listing, Skipped

        return Listing([name_of(number) for number in range(self.count)], [], Skipped())

    def is_there(self, image: str) -> bool:
        """Whether the name is one of them."""
        number = image[14:23]
        return number.isdecimal() and int(number) < self.count and image == name_of(int(number))

    def file_state(self, image: str):
        """A state that tells nothing."""
        from dfal_cli.system.fingerprints import file_state

        return file_state(__file__)


def make_lists(folder: Path, count: int) -> tuple[Path, Path]:
    """The labels of a thousand images, and a tenth of the images to exclude."""
    labels, exclude = folder / f"labels-{count}.csv", folder / f"exclude-{count}.csv"
    if not exclude.exists():
        step = max(1, count // LABELS)
        rows = (f"{name_of(number * step)},{CLASSES[number % 10]}\n" for number in range(LABELS))
        labels.write_text("image,label\n" + "".join(rows))
        with exclude.open("w") as handle:
            handle.write("image\n")
            handle.writelines(f"{name_of(number)}\n" for number in range(1, count, EXCLUDED))
    return labels, exclude


def list_folder(folder: Path, count: int) -> Callable[[], object]:
    """A folder of hard links to a few empty files."""
    from dfal_cli.images import list_images

    count //= FOR_REAL
    root = folder / f"folder-{count}"
    for number in range(0 if root.exists() else count):
        path, original = root / name_of(number), folder / f"empty-{count}-{number // LINKS}"
        if number % IN_A_FOLDER == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        original.touch()
        os.link(original, path)
    return lambda: list_images(root)


def find(folder: Path, count: int, *, excluding: bool = False) -> Callable[[], object]:
    """The pool among the names."""
    from dfal_cli.images.pool import find_pool
    from dfal_cli.system.reporting import Silent

    labels, exclude = make_lists(folder, count)
    return lambda: find_pool(MadeUp(count), [labels], [exclude] if excluding else [], Silent())


def digests(folder: Path, count: int) -> Callable[[], object]:
    """The digests by which `score` tells whether its output is up to date."""
    from dfal_cli.steps.pool_inputs import images_digests

    return lambda: images_digests(MadeUp(count), MadeUp(count).listing().images)


def draw(folder: Path, count: int) -> Callable[[], object]:
    """The candidates of the paper."""
    from dfal_cli.images.pool import draw_candidates

    return lambda: draw_candidates(MadeUp(count).listing().images, 300, 0)


def current(folder: Path, count: int) -> Callable[[], object]:
    """What `embed` knows of the images."""
    from dfal_cli.steps.embed.rows import CurrentImages

    return lambda: CurrentImages(MadeUp(count).listing(), MadeUp(count))


def write(folder: Path, count: int) -> Callable[[], object]:
    """The rows of `score` in memory, and the scores file, which the next steps read."""
    import numpy as np

    from dfal_cli.schemas import CROSSED
    from dfal_cli.scoring.rows import MARGINS, MEASURED, OUTCOMES, ROWS_PER_TABLE, Rows
    from dfal_cli.tables import scores_table, write_scores

    def tables(rows: Rows) -> Iterator[object]:
        for start in range(0, count, ROWS_PER_TABLE):
            yield scores_table(rows.columns(start, min(count, start + ROWS_PER_TABLE), CLASSES))

    def work() -> None:
        generator = np.random.default_rng(0)
        measured, margins = np.zeros(count, MEASURED), np.zeros(count, MARGINS)
        measured["predicted"], margins["crossing_class"] = generator.integers(0, len(CLASSES), (2, count), np.int32)
        margins["outcome"] = OUTCOMES.index(CROSSED)
        for block, column in ((measured, "confidence"), (measured, "probability_gap"), (measured, "entropy")):
            block[column] = generator.random(count, dtype=np.float32)
        margins["margin"] = generator.random(count, dtype=np.float32).round(5)  # with ties
        rows = Rows(MadeUp(count).listing().images, measured, margins)
        metadata = {"image_root": "/photos", "input_shape": [3, 224, 224], "norm": "l2", "classes": list(CLASSES)}
        write_scores(scores_file(folder, count), tables(rows), metadata | {"made_from": "0" * 64})

    return work


def scores_file(folder: Path, count: int) -> Path:
    """The scores file of so many images."""
    return folder / f"scores-{count}.parquet"


def open_parts(folder: Path, count: int) -> Callable[[], object]:
    """The parts of an unfinished `score --measure embedding`, as an identical call finds them."""
    import numpy as np

    from dfal_cli.scoring.rows import MEASURED, no_margins
    from dfal_cli.system.parts import Parts

    out = folder / f"unfinished-{count}.parquet"
    if not out.with_name(f".{out.name}.parts").exists():
        section = (parts := Parts(out, {})).section("pool")
        for start in range(0, count, ROWS_PER_PART):
            rows, margins = np.zeros(ROWS_PER_PART, MEASURED), no_margins(ROWS_PER_PART)
            embedding = np.zeros((ROWS_PER_PART, DIMENSIONS), np.float32)
            section.add(start, start + ROWS_PER_PART, {"rows": rows, "margins": margins, "embedding": embedding})
            parts.write()

    def work() -> None:
        assert Parts(out, {}).section("pool").finished >= count

    return work


def selecting(strategy: str, *, excluding: bool = False, scored: bool = True, **options: object):
    """A step that selects a thousand images."""

    def prepare(folder: Path, count: int) -> Callable[[], object]:
        from dfal_cli.steps.select.command import select
        from dfal_cli.steps.select.options import SelectOptions
        from dfal_cli.system.reporting import Silent

        labels, exclude = make_lists(folder, count)
        made = SelectOptions(
            count=QUERIES, out=folder / "queries.csv", strategy=strategy, force=True, labels=[labels],
            exclude=[exclude] if excluding else [], images=None if scored else folder,
            scores=scores_file(folder, count) if scored else None, **options,
        )  # fmt: skip
        return lambda: select(made, Silent(), MadeUp(count))

    return prepare


STEPS: dict[str, Callable[[Path, int], Callable[[], object]]] = {
    "list a folder": list_folder,
    "find the pool": find,
    "find the pool, a tenth excluded": lambda folder, count: find(folder, count, excluding=True),
    "digests of the files' states": digests,
    "draw 300 candidates": draw,
    "what embed knows of the images": current,
    "rows of score, written as Parquet": write,
    "find the parts of an unfinished call": open_parts,
    "select --strategy random --images": selecting("random", scored=False),
    "select --strategy dfal": selecting("dfal"),
    "select --strategy dfal, a tenth excluded": selecting("dfal", excluding=True),
    "select --strategy entropy": selecting("entropy"),
    "select --strategy ceal": selecting("ceal"),
    "select --strategy random": selecting("random"),
    "select --strategy dfal --control 0.1": selecting("dfal", control=0.1),
}
"""Name -> (folder, number of images) -> the work, once it is prepared."""


class Taken(NamedTuple):
    """What a step took, beyond the imports of its process."""

    seconds: float
    cpu: float
    """CPU seconds."""
    memory: float
    """Bytes."""


def run(step: str, folder: Path, count: int) -> Taken:
    """Do a step in a process of its own."""
    result = folder / "result.json"
    arguments = [sys.executable, __file__, "--keep", f"{folder}", "--names", f"{count}", "--steps", step, "--here"]
    process = os.posix_spawn(sys.executable, arguments, os.environ)
    _, status = os.waitpid(process, 0)
    if status:
        raise SystemExit(f"failed: {step}")
    return Taken(*json.loads(result.read_text()))


def run_here(step: str, folder: Path, count: int) -> None:
    """Do a step, and leave what it took in a file."""
    work = STEPS[step](folder, count)
    before = Taken(time.perf_counter(), time.process_time(), peak())
    kept = work()
    after = Taken(time.perf_counter(), time.process_time(), peak())
    taken = [end - start for start, end in zip(before, after, strict=True)]
    (folder / "result.json").write_text(json.dumps(taken))
    del kept
    os._exit(0)  # freeing many objects takes long


def peak() -> int:
    """The peak memory of this process so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(steps: Sequence[str], names: Sequence[int], folder: Path) -> None:
    """Print a row for each step and number of names."""
    for row in (COLUMNS, ["---"] * len(COLUMNS)):
        print("|", " | ".join(row), "|")
    for step in steps:
        before: tuple[int, Taken] | None = None
        for count in sorted(names):
            taken = run(step, folder, count)
            images = count // FOR_REAL if step == "list a folder" else count
            cells = [step, f"{images:,}", f"{taken.seconds:,.1f}", f"{taken.cpu:,.1f}", f"{taken.memory / 2**20:,.0f}"]
            cells.append(f"{taken.memory / images:,.0f}")
            if before is not None:
                longer = (RECKONED - images) / (images - before[0])
                cells.append(f"{taken.cpu + longer * (taken.cpu - before[1].cpu):,.0f}")
                cells.append(f"{(taken.memory + longer * (taken.memory - before[1].memory)) / 2**30:,.1f}")
            before = images, taken
            print("|", " | ".join([*cells, *[""] * (len(COLUMNS) - len(cells))]), "|", flush=True)


def main() -> None:
    """Make what the steps need, and measure them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the files for the next run")
    parser.add_argument("--names", type=int, nargs="+", default=NAMES, metavar="N", help="how many images")
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=STEPS, help="which of the rows")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = (options.keep or Path(name)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if options.here:
            run_here(options.steps[0], folder, options.names[0])
        measure(options.steps, options.names, folder)


if __name__ == "__main__":
    main()

"""The steps that names.py measures: the names are made up, but for those of the folder that is listed."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

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

"""select and merge on a million rows, time and peak memory: python tests/benchmarks/tables.py

The floor is a process that only reads the same file with the library that dfal uses, and writes it back for merge.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dfal_cli.schemas import CROSSED, SCORES_COLUMNS
from dfal_cli.tables import scores_table, write_scores

ROWS = 1_000_000
ANSWERS = 1_000
COPY = """
import pandas
pandas.read_csv("{0}", dtype=str, keep_default_na=False).to_csv("{0}.copy", index=False)
"""


def run(*arguments: str) -> tuple[float, float]:
    """Wall seconds and peak memory (GiB) of one Python process."""
    started = time.perf_counter()
    process = os.posix_spawn(
        sys.executable, [sys.executable, *arguments], os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )  # fmt: skip
    _, status, usage = os.wait4(process, 0)
    assert status == 0, arguments
    return time.perf_counter() - started, usage.ru_maxrss / 2**20


def make_scores(path: Path) -> None:
    """A scores file of a million images, as `dfal score` writes it."""
    generator = np.random.default_rng(0)
    columns: dict[str, list] = {name: [None] * ROWS for name in SCORES_COLUMNS}
    columns["image"] = [f"photos/{number % 1000:03d}/{number:07d}.jpg" for number in range(ROWS)]
    columns["predicted"] = columns["crossing_class"] = [f"class {number % 10}" for number in range(ROWS)]
    columns["outcome"] = [CROSSED] * ROWS
    columns["iterations"] = [3] * ROWS
    for name in ("confidence", "probability_gap", "entropy", "margin"):
        columns[name] = generator.random(ROWS, dtype=np.float32).tolist()
    write_scores(path, [scores_table(columns)], {"image_root": "/photos", "input_shape": [3, 224, 224], "norm": "l2"})


def make_labels(labels: Path, queries: Path) -> None:
    """A million labelled rows, and a thousand answers of which half are listed there with a blank label."""
    with labels.open("w") as handle:
        handle.write("image,label,twin,note\n")
        for number in range(ROWS):
            label = "" if number < ANSWERS // 2 else f"class {number % 10}"
            handle.write(f"photos/{number:07d}.jpg,{label},,seen by {number % 7}\n")
    first = [f"photos/{number:07d}.jpg" for number in range(ANSWERS // 2)]
    more = [f"more/{number:07d}.jpg" for number in range(ANSWERS // 2)]
    rows = [f"{rank},{image},class {rank % 10},,\n" for rank, image in enumerate(first + more, 1)]
    queries.write_text("rank,image,label,margin,twin\n" + "".join(rows))


def main() -> None:
    """Make the files, run the commands and their floors, print a line for each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scores, labels, queries = folder / "scores.parquet", folder / "labels.csv", folder / "queries.csv"
        make_scores(scores)
        make_labels(labels, queries)
        select = ("-m", "dfal_cli", "select", "--scores", f"{scores}", "--count", "1000", "--out", f"{folder}/list.csv")
        merge = ("-m", "dfal_cli", "merge", "--queries", f"{queries}", "--labels", f"{labels}")
        read = ("-c", f"import pyarrow.parquet as p; p.read_table('{scores}').to_pandas()")
        copy = ("-c", COPY.format(labels))
        for what, command, floor in (("select", select, read), ("merge", merge, copy)):
            floor_seconds, floor_memory = run(*floor)
            seconds, memory = run(*command)
            print(
                f"{what}: {ROWS:,} rows in {seconds:.1f} s, {memory:.2f} GiB; "
                f"floor {floor_seconds:.1f} s, {floor_memory:.2f} GiB; ratio {seconds / floor_seconds:.2f}"
            )


if __name__ == "__main__":
    main()

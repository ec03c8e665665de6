"""A round on the embeddings of a large pool: python tests/benchmarks/embedding_round.py [--keep DIR] [--images N]

Each stage is a process of its own, as in a nightly script. The floor of a stage is reading the embeddings once, in a
process of its own. This process imports nothing large, because a child's peak memory counts from its parent's.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

LABELS, QUERIES, SIZE, CLUSTERS, CLASSES = 1_000, 1_000, 1_280, 50, 10
MAKE, READ = "--make", "--read"

STAGES = {
    "train": ("train", "--embeddings", "embeddings.parquet", "--labels", "labels.csv", "--out", "head.safetensors"),
    "score": (
        "score", "--embeddings", "embeddings.parquet", "--labels", "labels.csv",
        "--checkpoint", "head.safetensors", "--out", "scores.parquet",
    ),
    "select": (
        "select", "--scores", "scores.parquet", "--labels", "labels.csv", "--strategy", "coverage",
        "--count", str(QUERIES), "--out", "queries.csv",
    ),
}  # fmt: skip


class Ran(NamedTuple):
    """What a process took."""

    seconds: float
    cpu_seconds: float
    mebibytes: float


def main() -> None:
    """Print a row for each stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument(MAKE, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(READ, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make(options.images)
    elif options.read:
        read()
    else:
        with tempfile.TemporaryDirectory() as folder:
            keep = options.keep or Path(folder)
            keep.mkdir(parents=True, exist_ok=True)
            measure(keep, options.images)


def measure(folder: Path, images: int) -> None:
    """Make the embeddings if they do not exist, and time each stage."""
    script = Path(__file__).resolve()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(script.parents[2]), os.environ.get("PYTHONPATH", "")])
    os.chdir(folder)
    if not Path("embeddings.parquet").exists():
        run(script, MAKE, "--images", images)
    floor = run(script, READ).seconds
    print(f"{images:,} images, {SIZE:,} dimensions; reading them once: {floor:.1f} s\n")
    print("| stage | seconds | CPU seconds | ratio | peak MiB |\n| --- | --- | --- | --- | --- |")
    stages = {name: run("-m", "dfal_cli", *arguments, "--force", "--quiet") for name, arguments in STAGES.items()}
    *sums, most = map(list, zip(*stages.values(), strict=True))
    stages["together"] = Ran(*map(sum, sums), max(most))
    for name, (seconds, cpu_seconds, mebibytes) in stages.items():
        print(f"| {name} | {seconds:.1f} | {cpu_seconds:.1f} | {seconds / floor:.1f} | {mebibytes:,.0f} |")


def run(*arguments: object) -> Ran:
    """Run Python with these arguments, as a process of its own."""
    command = [sys.executable, *map(str, arguments)]
    started = time.perf_counter()
    process = os.posix_spawn(
        sys.executable, command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return Ran(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def make(images: int) -> None:
    """Write the embeddings of a mixture of clusters, and labels of some images; the cluster decides the class."""
    import numpy as np

    from dfal_cli.tables.embeddings import write_embeddings

    generator = np.random.default_rng(0)
    centres = generator.standard_normal((CLUSTERS, SIZE), dtype=np.float32)
    clusters = generator.integers(0, CLUSTERS, images)
    names = [f"{number:07d}.jpg" for number in range(images)]

    def block(start: int) -> tuple[list[str], np.ndarray]:
        part = slice(start, start + 8192)
        noise = generator.standard_normal((len(names[part]), SIZE), dtype=np.float32)
        return names[part], centres[clusters[part]] + 2 * noise

    write_embeddings(Path("embeddings.parquet"), map(block, range(0, images, 8192)), {})
    labelled = generator.choice(images, LABELS, replace=False)
    rows = ["image,label", *(f"{names[place]},{clusters[place] % CLASSES}" for place in labelled)]
    Path("labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def read() -> None:
    """Read the embeddings, and nothing more."""
    from dfal_cli.tables.embeddings import read_embeddings

    read_embeddings(Path("embeddings.parquet"))


if __name__ == "__main__":
    main()

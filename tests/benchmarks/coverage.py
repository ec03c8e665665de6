"""The strategy `coverage` on a large pool, time and peak memory: python tests/benchmarks/coverage.py

The floor is the matrix of squared distances from the candidates to the sample, which every greedy coverage needs.
"""

import resource
import time

import numpy as np

from dfal_cli.strategies import kernel_coverage
from dfal_cli.strategies.kernel_coverage import greedy_coverage
from dfal_cli.tables.vectors import unit_length

QUERIES, LABELLED, SIZE, CLUSTERS = 1_000, 1_000, 1_280, 50
POOLS = (10_000, 100_000)


def main() -> None:
    """Print a row for each pool."""
    print("| images | seconds | floor | ratio | peak GiB |\n| --- | --- | --- | --- | --- |")
    for count in POOLS:
        generator = np.random.default_rng(0)
        centres = generator.standard_normal((CLUSTERS, SIZE), dtype=np.float32)
        points = centres[generator.integers(0, CLUSTERS, count)]
        points += 0.7 * generator.standard_normal((count, SIZE), dtype=np.float32)
        uncertainty = generator.random(count)
        floor = seconds_of_distances(points)
        started = time.perf_counter()
        greedy_coverage(points, uncertainty, points[:LABELLED], QUERIES, generator)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"| {count:,} | {seconds:.1f} | {floor:.1f} | {seconds / floor:.1f} | {peak:.2f} |", flush=True)


def seconds_of_distances(points: np.ndarray) -> float:
    """Seconds of one product of as many candidates and sampled images as the strategy looks at."""
    some = unit_length(points[: kernel_coverage.CANDIDATES])
    started = time.perf_counter()
    some @ some[: kernel_coverage.SAMPLE].T
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

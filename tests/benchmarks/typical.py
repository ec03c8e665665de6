"""The strategy `typical` on a large pool, time and peak memory: python tests/benchmarks/typical.py

The floor is the assignment of all images to the final means, which every k-means needs at least once.
"""

import resource
import time

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min

from dfal_cli.strategies.typical import typical_points

QUERIES, SIZE, CLUSTERS = 1_000, 1_280, 50
POOLS = (10_000, 100_000)


def main() -> None:
    """Print a row for each pool."""
    print("| images | seconds | floor | ratio | peak GiB |\n| --- | --- | --- | --- | --- |")
    for count in POOLS:
        generator = np.random.default_rng(0)
        centres = generator.standard_normal((CLUSTERS, SIZE), dtype=np.float32)
        points = centres[generator.integers(0, CLUSTERS, count)]
        for start in range(0, count, 1_000):
            points[start : start + 1_000] += 0.7 * generator.standard_normal((1_000, SIZE), dtype=np.float32)
        started = time.perf_counter()
        found = typical_points(points, None, QUERIES, generator)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        started = time.perf_counter()
        pairwise_distances_argmin_min(points, points[found])
        floor = time.perf_counter() - started
        print(f"| {count:,} | {seconds:.1f} | {floor:.1f} | {seconds / floor:.1f} | {peak:.2f} |", flush=True)


if __name__ == "__main__":
    main()

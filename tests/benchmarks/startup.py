"""How long `dfal --help` takes, against a bare typer program with five commands: python tests/benchmarks/startup.py"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 15
BARE = """
import typer
app = typer.Typer(no_args_is_help=True, add_completion=False)
for name in ("train", "score", "select", "merge", "simulate"):
    def command(images: str, labels: str = "labels.csv", count: int = 10) -> None:
        "Do something with images."
    app.command(name)(command)
app()
"""


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Time both in turns, so that a noisy machine disturbs them alike, and print the medians and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE)
        programs = {
            "bare typer program": [sys.executable, str(bare), "--help"],
            "dfal --help": [sys.executable, "-m", "dfal_cli", "--help"],
            "dfal score --help": [sys.executable, "-m", "dfal_cli", "score", "--help"],
            "dfal docs": [sys.executable, "-m", "dfal_cli", "docs"],
        }
        times: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(RUNS):
            for name, command in programs.items():
                times[name].append(seconds(command))
    floor = statistics.median(times["bare typer program"])
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name:20} {median * 1000:7.0f} ms   ratio {median / floor:.2f}")


if __name__ == "__main__":
    main()

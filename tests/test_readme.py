"""The README keeps its word: its console blocks run as printed, its option tables are the program's."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SAMPLE_DATA

README = Path(__file__).parents[1] / "README.md"


def console_steps() -> list[tuple[str, list[str]]]:
    """Each command of the console blocks, with the lines that the README shows after it."""
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


def without_numbers(line: str) -> str:
    """The line with its figures masked: accuracies and times differ between machines."""
    return re.sub(r"\d[\d.,]*", "N", line)


@pytest.mark.slow
def test_console_blocks_run_and_print_what_the_readme_shows(tmp_path):
    for name in ("images", "labels.csv", "oracle.csv", "test.csv"):
        source = SAMPLE_DATA / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CUDA_VISIBLE_DEVICES": "",
    }
    steps = console_steps()
    assert steps
    for command, shown in steps:
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stderr)
        printed = {without_numbers(line) for line in (done.stdout + done.stderr).splitlines()}
        missing = [line for line in shown if without_numbers(line) not in printed]
        assert not missing, (command, missing, printed)


def test_option_tables_are_what_the_program_says():
    cog = pytest.importorskip("cogapp")
    assert cog.Cog().main(["cog", "--check", "-I", str(README.parent), str(README)]) == 0

"""kill -9 at random moments of every command of the chain: no file is torn, and the end is an undisturbed one."""

import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfal_cli.tables import read_queries, write_csv
from tests.conftest import MEANS, draw_folder, write
from tests.reliability.commands import run, start

Files = dict[str, bytes]
Step = Callable[[], None] | tuple[object, ...]

IMAGES = ("--images", "images")
TRAIN = ("train", *IMAGES, "--labels", "labels.csv", "--epochs", 12, "--patience", 12, "--device", "cpu")
SCORE = ("score", *IMAGES, "--labels", "labels.csv", "--device", "cpu", "--batch-size", 4)


def chain(folder: Path) -> Iterator[tuple[str, Step]]:
    """Two rounds: commands that are killed, and what a person does between them."""
    yield "first queries", ("select", *IMAGES, "--strategy", "random", "--count", 12, "--out", "first.csv")
    yield "first answers", lambda: answer(folder, "first.csv")
    yield "first merge", ("merge", "--queries", "first.csv", "--labels", "labels.csv")
    yield "training", (*TRAIN, "--out", "1/model.safetensors", "--restarts", 2)
    yield "scores", (
        *SCORE, "--checkpoint", "1/model.safetensors", "--out", "1/scores.parquet", "--nearest", 8, "--twins", 8,
        "--measure", "embedding",
    )  # fmt: skip
    yield "predictions", (
        "predict", *IMAGES, "--checkpoint", "1/model.safetensors", "--out", "1/predictions.csv", "--device", "cpu",
        "--batch-size", 4, "--probabilities",
    )  # fmt: skip
    yield "queries", (
        "select", "--scores", "1/scores.parquet", "--count", 8, "--out", "1/queries.csv", "--preview", "1/queries.html",
    )  # fmt: skip
    yield "answers", lambda: answer(folder, "1/queries.csv")
    yield "merge", ("merge", "--queries", "1/queries.csv", "--labels", "labels.csv")
    yield "embeddings", (
        "embed", *IMAGES, "--out", "1/embeddings.parquet", "--backbone", "images.means:backbone", "--image-size", 16,
        "--device", "cpu", "--batch-size", 4,
    )  # fmt: skip
    yield "training with twins", (*TRAIN, "--out", "2/model.safetensors", "--init", "1/model.safetensors")
    yield "scores as CSV", (*SCORE, "--checkpoint", "2/model.safetensors", "--out", "2/scores.csv", "--measure", "bald")
    yield "queries by bald", (
        "select", "--scores", "2/scores.csv", "--strategy", "bald", "--count", 6, "--out", "2/queries.csv",
    )  # fmt: skip


def answer(folder: Path, queries: str) -> None:
    """Fill in the labels as the oracle would."""
    oracle = dict(row.split(",") for row in (folder.parent / "oracle.csv").read_text().split())
    table = read_queries(folder / queries)
    write_csv(folder / queries, table.assign(label=table["image"].map(oracle)))


def files_in(folder: Path) -> Files:
    """All files but the images and the locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "images" not in path.parts and path.suffix != ".lock"
    }


def undisturbed(folder: Path) -> Iterator[tuple[str, float, Files]]:
    """Each step's name, the seconds it took, and the files after it."""
    for name, step in chain(folder):
        started = time.monotonic()
        step() if callable(step) else run(folder, step)
        yield name, time.monotonic() - started, files_in(folder)


def assert_whole(folder: Path, before: Files, after: Files) -> None:
    """Each file is as it was, or as it is to be."""
    for name, content in files_in(folder).items():
        if not any(part.startswith(".") for part in Path(name).parts):
            assert content in (before.get(name), after.get(name)), f"{name} is neither the old file nor the new one"
    assert before.keys() <= files_in(folder).keys()


@pytest.mark.parametrize("kills", [18, pytest.param(200, marks=pytest.mark.long)])
def test_a_chain_killed_at_random_moments_ends_as_an_undisturbed_one(tmp_path: Path, kills: int) -> None:
    folder = tmp_path / "work"
    draw_folder(folder, each=24)
    shutil.move(folder / "oracle.csv", tmp_path / "oracle.csv")
    write(folder / "images/means.py", MEANS)
    run(folder, ["merge", "--help"])  # the server has to start before anything is timed
    expected = list(undisturbed(folder))
    for name in expected[-1][2]:
        (folder / name).unlink()
    generator = random.Random(0)
    killed, said, before = 0, "", files_in(folder)
    assert not before
    commands = sum(not callable(step) for _, step in chain(folder))
    for (name, step), (_, seconds, after) in zip(chain(folder), expected, strict=True):
        if callable(step):
            step()
        else:
            for _ in range(-(-kills // commands)):
                process = start(folder, step)
                time.sleep(generator.uniform(0, seconds))
                process.kill()
                process.join()
                killed += process.exitcode == -9
                said += (tmp_path / "stderr.txt").read_text()
                assert_whole(folder, before, after)
            said += run(folder, step)
        assert files_in(folder) == after, f"{name}: not what an undisturbed run leaves"
        before = after
    assert killed > kills / 3, "most of the kills came too late to hit anything"
    if killed > 100:  # a few may all miss
        for work in ("epoch", r"\d+ of \d+ images"):
            assert re.search(rf"(?:resuming|going on) after {work}", said), (
                "none of them hit one that had come anywhere"
            )

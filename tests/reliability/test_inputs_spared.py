"""No output takes the place of an input, whatever links lead there and with --force: labels would be lost by a slip."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import dfal, train_divided_folder

POOL = ("--images", "in/images", "--device", "cpu")
SCORE = ("score", *POOL, "--checkpoint", "m.safetensors")
RANDOM = ("select", "--images", "in/images", "--strategy", "random", "--count", 2)

SLIPS = {
    "score over labels": (*SCORE, "--labels", "in/pool.csv", "--out", "in/pool.csv"),
    "score over what is excluded": (*SCORE, "--exclude", "in/test.csv", "--out", "in/test.csv"),
    "merge over its list": ("merge", "--queries", "in/test.csv", "--labels", "in/pool.csv", "--out", "in/test.csv"),
    "merge into its list": ("merge", "--queries", "in/test.csv", "--labels", "in/test.csv"),
    "train over --init": (
        "train", *POOL, "--labels", "in/pool.csv", "--init", "m.safetensors", "--out", "m.safetensors",
    ),
    "select over scores": ("select", "--scores", "in/pool.csv", "--count", 2, "--out", "in/pool.csv"),
    "select over labels by a link": (*RANDOM, "--labels", "in/pool.csv", "--out", "link.csv"),
    "a page over labels": (*RANDOM, "--labels", "labels.html", "--out", "q.csv", "--preview", "labels.html"),
    "pseudo-labels over labels": (*RANDOM, "--labels", "q.csv.pseudo.csv", "--out", "q.csv"),
    "simulate over its test": (
        "simulate", *POOL, "--labels", "in/pool.csv", "--test", "out/results.csv", "--out", "out",
    ),
    "simulate into the images": (
        "simulate", *POOL, "--labels", "in/pool.csv", "--test", "in/test.csv", "--out", "in/images",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """in/ and m.safetensors; the labels once more, by other names."""
    root = train_divided_folder(tmp_path_factory.mktemp("spared"))
    (root / "link.csv").symlink_to("in/pool.csv")
    (root / "out").mkdir()
    for name in ("labels.html", "q.csv.pseudo.csv", "out/results.csv"):
        (root / name).write_bytes((root / "in/pool.csv").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield root


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("name", SLIPS)
def test_an_output_that_is_also_an_input_is_a_usage_error(house: Path, name: str, force: tuple[str, ...]) -> None:
    before = contents(house)
    done = dfal(*SLIPS[name], *force, "--quiet")
    assert done.code == 2, done.stderr
    assert re.search(r": is an input \(--[a-z-]+\); choose another --", done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert contents(house) == before


def test_what_is_no_scores_file_is_in_the_way_of_scores(house: Path) -> None:
    before = contents(house)
    done = dfal(*SCORE, "--out", "in/test.csv", "--quiet")
    assert (done.code, "in/test.csv: exists and is not a scores file" in done.stderr) == (2, True), done.stderr
    assert contents(house) == before


FOREIGN = {
    "s.csv.meta.json": (*SCORE, "--out", "s.csv"),
    "t.csv.unreadable.csv": (*SCORE, "--out", "t.csv"),
    "s.parquet.labelled.parquet": (*SCORE, "--out", "s.parquet"),
    "own.csv.pseudo.csv": (*RANDOM, "--out", "own.csv"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_somebody_else_has_called_as_a_companion_is_called_stays_there(house: Path, name: str) -> None:
    (house / name).write_bytes((house / "in/pool.csv").read_bytes())
    before = contents(house)
    done = dfal(*FOREIGN[name], "--quiet")
    assert (done.code, f"{name}: exists and was not written by dfal" in done.stderr) == (2, True), done.stderr
    assert contents(house) == before
    assert dfal(*FOREIGN[name], "--quiet", "--force").code == 0
    assert not (house / name).exists() or (house / name).read_bytes() != (house / "in/pool.csv").read_bytes()


def test_two_outputs_of_one_name_are_a_usage_error(house: Path) -> None:
    before = contents(house)
    done = dfal(*SCORE, "--out", "both.parquet", "--twins", 2, "--twins-dir", "both.parquet", "--quiet")
    assert (done.code, "both.parquet: is named by both --out and --twins-dir" in done.stderr) == (2, True), done.stderr
    assert contents(house) == before

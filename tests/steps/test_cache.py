"""`--cache`: train and score decode less, and write the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Ended, dfal, draw_folder, write

FILES = ("--images", "images", "--device", "cpu")


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """images/ with 40 PNGs; labels.csv with 16 of them, validation.csv and test.csv with 6 each; one is broken."""
    draw_folder(in_tmp)
    rows = Path("oracle.csv").read_text().splitlines()
    for name, part in (("labels", rows[1:17]), ("validation", rows[17:23]), ("test", rows[23:29])):
        write(Path(f"{name}.csv"), rows[0], *part)
    Path("images/039.png").write_bytes(b"broken")
    return in_tmp


def train(out: str, *arguments: object) -> Ended:
    tables = ("--labels", "labels.csv", "--validation", "validation.csv", "--test", "test.csv")
    return dfal("train", *FILES, *tables, "--epochs", 2, "--out", out, *arguments)


def score(out: str, *arguments: object, checkpoint: str = "m.safetensors") -> Ended:
    nearest = ("--nearest", 8, "--twins", 4)
    return dfal("score", *FILES, "--checkpoint", checkpoint, "--out", out, *nearest, *arguments)


def outputs(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_outputs_are_the_same_bytes_without_a_cache_and_with_an_empty_a_full_and_a_tiny_one(house: Path) -> None:
    cache = ("--cache", "c")
    runs = {"without": (), "empty": cache, "full": cache, "tiny": ("--cache", "d", "--cache-limit", "4kB")}
    for name, arguments in runs.items():
        assert train(f"{name}/m.safetensors", *arguments).code == 0
        ended = score(f"{name}/s.parquet", *arguments, checkpoint=f"{name}/m.safetensors")
        assert (ended.code, "1 unreadable" in ended.stderr) == (0, True)
    first, *others = (outputs(Path(name)) for name in runs)
    assert len(first) > 5
    for other in others:
        assert {name for name in first if first[name] != other.get(name)} == set()


def test_train_and_score_share_a_cache(house: Path) -> None:
    assert "0 of 28 image reads came from the cache c" in train("m.safetensors", "--cache", "c").stderr
    assert "28 of 28 image reads came from the cache c" in train("m.safetensors", "--cache", "c", "--force").stderr
    labelled = ("--labels", "labels.csv", "--labels", "validation.csv")
    without_margins = dfal(
        "score", *FILES, *labelled, "--checkpoint", "m.safetensors", "--out", "s.csv", "--cache", "c"
    )
    assert (
        "14 of 25 image reads came from the cache c" in without_margins.stderr
    )  # of the pool, those of test.csv; and the first 8 twice, on which the network is tried


def test_the_cache_decides_nothing_about_what_is_up_to_date(house: Path) -> None:
    assert train("m.safetensors").code == 0
    assert score("s.parquet", "--cache", "c").code == 0
    for arguments in ((), ("--cache", "c"), ("--cache", "d", "--cache-limit", "5GB")):
        assert "up to date" in train("m.safetensors", *arguments).stderr
        assert "up to date" in score("s.parquet", *arguments).stderr


def test_the_cache_may_stand_in_the_config_file(house: Path) -> None:
    write(Path("dfal.yaml"), "train:", "  cache: c", "  cache-limit: 5MB")
    assert "came from the cache c" in train("m.safetensors", "--config", "dfal.yaml").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cache", "c", "--cache-limit", "10XB"), "10XB: must be a number and kB, MB, GB or TB, such as 10GB"),
        (("--cache-limit", "much"), "--cache-limit much: must be a number"),
        (("--cache", "labels.csv"), "labels.csv: is a file, not a folder (--cache)"),
    ],
)  # fmt: skip
def test_a_wrong_cache_option_is_reported_in_one_line_before_any_work(
    house: Path, arguments: tuple[str, ...], message: str
) -> None:
    for ended in (train("m.safetensors", *arguments), score("s.parquet", *arguments, checkpoint="labels.csv")):
        assert ended.code == 2
        assert message in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
    assert not Path("m.safetensors").exists()


def test_a_cache_that_cannot_be_filled_is_a_warning_and_no_failure(house: Path) -> None:
    assert train("m.safetensors", "--cache", "c").code == 0
    (folder,) = Path("c").iterdir()
    for segment in folder.iterdir():
        segment.unlink()
    folder.rmdir()
    folder.write_text("a file where the folder should be")
    ended = score("s.parquet", "--cache", "c", "--json")
    assert ended.code == 0
    assert len([warning for warning in ended.json["warnings"] if "cannot be filled" in warning]) == 1


def test_commands_that_run_at_the_same_time_may_share_a_cache(house: Path) -> None:
    assert train("m.safetensors").code == 0
    tables = ("--labels", "labels.csv", "--epochs", "1", "--out", "n.safetensors")
    commands = [("train", *tables), *(("score", "--checkpoint", "m.safetensors", "--out", f"s{k}.csv") for k in (1, 2))]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "dfal_cli", command, *FILES, *rest, "--cache", "c", "--json", "--quiet"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for command, *rest in commands
    ]
    ended = [(process.communicate(timeout=120)[0], process.returncode) for process in running]
    assert [code for _, code in ended] == [0, 0, 0]
    assert not any("cache" in warning for stdout, _ in ended for warning in json.loads(stdout)["warnings"])
    assert Path("s1.csv").read_bytes() == Path("s2.csv").read_bytes()
    assert score("s3.csv", "--cache", "c").code == 0

"""What users do wrong ends with the documented exit code and a line or two that say what to do."""

import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import dfal, write, write_margins

TRAIN = ("train", "--images", "images", "--labels", "labels.csv", "--out", "new.safetensors", "--epochs", "1")
SCORE = ("score", "--images", "images", "--checkpoint", "model.safetensors", "--out", "new.parquet")
SELECT = ("select", "--scores", "scores.parquet", "--count", "3", "--out", "new.csv")
FIRST = ("select", "--images", "images", "--strategy", "random", "--count", "3", "--out", "new.csv")
MERGE = ("merge", "--queries", "answered.csv", "--labels", "labels.csv")
SIMULATE = ("simulate", "--images", "images", "--labels", "labels.csv", "--test", "labels.csv", "--out", "new")
HUGE = "1" + 23 * "0"


@pytest.fixture
def house(trained: Path, in_tmp: Path) -> Path:
    """A folder in which every command above would work."""
    shutil.copytree(trained, in_tmp, dirs_exist_ok=True)
    write_margins(in_tmp / "scores.parquet", in_tmp / "images", {"030.png": 0.1, "031.png": 0.2, "032.png": None})
    write(in_tmp / "answered.csv", "image,label", "030.png,dark")
    write(in_tmp / "blank.csv", "image,label", "000.png,")
    write(in_tmp / "one.csv", "image,label", "000.png,dark", "002.png,dark")
    write(in_tmp / "twice.csv", "image,label", "000.png,dark", "000.png,dark")
    write(in_tmp / "escape.csv", "image,label", "000.png,dark", "../000.png,light")
    write(in_tmp / "absolute.csv", "image,label", "/etc/passwd,light", "000.png,dark")
    write(in_tmp / "unknown.csv", "image,label", "000.png,dark", "gone.png,light")
    write(in_tmp / "column.csv", "image,lable", "000.png,dark")
    write(in_tmp / "contrary.csv", "image,label", "000.png,light")
    write(in_tmp / "page.html", "<html>")
    (in_tmp / "images" / "broken.png").write_text("<html>")
    write(in_tmp / "broken.csv", "image,label", "000.png,dark", "broken.png,light")
    (in_tmp / "nothing").mkdir()
    (in_tmp / "empty.csv").write_text("")
    return in_tmp


CASES: list[tuple[tuple[str, ...], tuple[str, ...], int, str]] = [
    (TRAIN, ("--images", "none"), 2, "none: no such folder (--images)"),
    (TRAIN, ("--images", "labels.csv"), 2, "not a folder"),
    (TRAIN, ("--labels", "none.csv"), 2, "none.csv: no such file (--labels)"),
    (TRAIN, ("--labels", "empty.csv"), 3, "empty.csv: empty"),
    (TRAIN, ("--labels", "blank.csv"), 3, "no image has a label yet"),
    (TRAIN, ("--labels", "one.csv"), 3, "only 'dark'"),
    (TRAIN, ("--labels", "twice.csv"), 3, "twice.csv, line 3"),
    (TRAIN, ("--labels", "escape.csv"), 3, "escape.csv, line 3"),
    (TRAIN, ("--labels", "absolute.csv"), 3, "absolute.csv, line 2"),
    (TRAIN, ("--test", "unknown.csv"), 3, "unknown.csv, line 3: image 'gone.png': no such file"),
    (TRAIN, ("--labels", "broken.csv"), 3, "broken.csv, line 3: image 'broken.png': not an image"),
    (TRAIN, ("--labels", "column.csv"), 3, "column.csv, line 1: no column label"),
    (TRAIN, ("+", "--labels", "contrary.csv"), 3, "'dark' in labels.csv, line 2; 'light' in contrary.csv, line 2"),
    (TRAIN, ("--class-names", "dark,bright"), 3, "labels.csv, line 3: label 'light' is not in"),
    (TRAIN, ("--out", "new.pt"), 2, "new.pt: --out must end in .safetensors"),
    (TRAIN, ("--out", "labels.csv/new.safetensors"), 2, "labels.csv"),
    (TRAIN, ("--out", "model.safetensors"), 2, "--force"),
    (TRAIN, ("--arch", "lenet6"), 2, "lenet6"),
    (TRAIN, ("--arch", "no_such_module:net"), 2, "no_such_module"),
    (TRAIN, ("--arch", "lenet5", "--image-size", "4"), 2, "4"),
    (TRAIN, ("--augment", "twist"), 2, "--augment twist: use one of none, shift"),
    (TRAIN, ("--init", "none.safetensors"), 2, "none.safetensors: no such file"),
    (TRAIN, ("--init", "labels.csv"), 3, "not a checkpoint"),
    (TRAIN, ("--weights", "none.pth"), 2, "none.pth: no such file"),
    (TRAIN, ("--pretrained", "--weights", "w.pth"), 2, "choose one"),
    (TRAIN, ("--validation", "none.csv"), 2, "none.csv: no such file (--validation)"),
    (TRAIN, ("--test", "column.csv"), 3, "column.csv, line 1"),
    (TRAIN, ("--device", "tpu"), 2, "tpu"),
    (TRAIN, ("--epochs", "none"), 2, "--epochs"),
    (TRAIN, ("--epochs", "0"), 2, "--epochs"),
    (TRAIN, ("--lr", "-1"), 2, "--lr"),
    (TRAIN, ("--validation-fraction", "2"), 2, "--validation-fraction"),
    (TRAIN, ("--restarts", "-1" + 30 * "0"), 2, "--restarts"),
    *(
        (TRAIN, (name, HUGE), 2, f"train: {name}: must be at most 100,000,000")
        for name in ("--batch-size", "--image-size")
    ),
    (TRAIN, ("--restarts", str(2**63 - 1)), 2, "dfal train: --restarts: must be at most 100,000,000"),
    (TRAIN, ("--seed", HUGE), 2, "dfal train: --seed: must be at most 18,446,744,073,709,551,615"),
    (SIMULATE, ("--trials", HUGE), 2, "dfal simulate: --trials: must be at most 100,000,000"),
    (TRAIN, ("--epcohs", "3"), 2, "No such option"),
    (SCORE, ("--images", "nothing"), 3, ": no images ("),
    (SCORE, ("--checkpoint", "none.safetensors"), 2, "none.safetensors: no such file"),
    (SCORE, ("--checkpoint", "images"), 2, "is a folder"),
    (SCORE, ("--checkpoint", "labels.csv"), 3, "labels.csv: not a checkpoint"),
    (SCORE, ("--labels", "none.csv"), 2, "none.csv: no such file (--labels)"),
    (SCORE, ("--labels", "images"), 2, "images: is a folder, not a file (--labels)"),
    (SCORE, ("--exclude", "page.html"), 3, "page.html, line 1: no column image"),
    (SCORE, ("--exclude", "oracle.csv", "--exclude", "broken.csv"), 3, "the pool is empty"),
    (SCORE, ("--out", "new.json"), 2, "must end in .parquet or .csv"),
    (SCORE, ("--out", "scores.parquet"), 2, "--force"),
    (SCORE, ("--out", "images/000.png/new.csv"), 2, "000.png"),
    (SCORE, ("--measure", "depth"), 2, "--measure depth: use any of bald, egl, embedding, probabilities"),
    (SCORE, ("--measure", "entropy"), 2, "--measure entropy: every scores file contains it"),
    (SCORE, ("--norm", "l1"), 2, "--norm l1: use one of l2, linf"),
    (SCORE, ("--estimator", "fgsm"), 2, "--estimator fgsm: use one of deepfool"),
    (SCORE, ("--classes", "1"), 2, "--classes"),
    (SCORE, ("--preset", "papier"), 2, "--preset papier: use paper"),
    (SCORE, ("--norm", "linff"), 2, "use one of l2, linf; did you mean linf?"),
    (SCORE, ("--max-unreadable", "0", "--labels", "labels.csv"), 3, "1 of 17 images cannot be read"),
    (SCORE, ("--device", "cuda:99"), 2, "cuda"),
    (SELECT, ("--scores", "none.parquet"), 2, "none.parquet: no such file (--scores)"),
    (SELECT, ("--scores", "labels.csv"), 3, "labels.csv"),
    (SELECT, ("--scores", "page.html"), 3, "not a scores file"),
    (SELECT, ("--strategy", "typcal"), 2, "random; did you mean typical?"),
    (SELECT, ("--strategy", "margins"), 2, "--strategy margins: use one of dfal"),
    (SELECT, ("--count", "0"), 2, "--count"),
    (SELECT, ("--out", "new.txt"), 2, "--out must end in .csv"),
    (SELECT, ("--out", "labels.csv"), 2, "labels.csv"),
    (SELECT, ("--exclude", "none.csv"), 2, "none.csv: no such file (--exclude)"),
    (("select", "--count", "3", "--out", "new.csv"), (), 2, "no scores: use --scores FILE; before anything"),
    (("select", "--images", "images", "--count", "3", "--out", "new.csv"), (), 2, "--images DIR --strategy random"),
    (FIRST, ("--images", "none"), 2, "none: no such folder"),
    (FIRST, ("--images", "nothing"), 3, ": no images ("),
    (FIRST, ("--strategy", "dfal"), 2, "--strategy dfal: requires --scores"),
    (MERGE, ("--queries", "none.csv"), 2, "none.csv: no such file (--queries)"),
    (MERGE, ("--queries", "column.csv"), 3, "column.csv, line 1"),
    (MERGE, ("--queries", "contrary.csv"), 3, "--on-conflict"),
    (MERGE, ("--queries", "escape.csv"), 3, "escape.csv, line 3"),
    (MERGE, ("--labels", "labels.txt"), 2, "--labels must end in .csv"),
    (MERGE, ("--labels", "column.csv"), 3, "column.csv, line 1"),
    (MERGE, ("--out", "new.txt"), 2, "--out must end in .csv"),
    (MERGE, ("--on-conflict", "ask"), 2, "--on-conflict ask: use one of error, keep, replace"),
    (MERGE, ("--queries", "images"), 2, "images: is a folder without class folders (--queries)"),
    (MERGE, ("--images", "none"), 2, "none: no such folder (--images)"),
    (MERGE, ("--images", "nothing"), 3, "answered.csv, line 2: image '030.png' is not under nothing"),
    (("trian",), (), 2, "No such command 'trian'"),
    (("train",), (), 2, "Missing option"),
    (("embed", "--resize"), (), 2, "see `dfal embed --help` for the options"),
]


def replaced(command: tuple[str, ...], change: tuple[str, ...]) -> list[str]:
    """The command with an option's value replaced; a leading "+" adds instead."""
    arguments = list(command)
    if change[:1] == ("+",):
        return [*arguments, *change[1:]]
    if change and change[0] in arguments:
        place = arguments.index(change[0])
        del arguments[place : place + 2]
    return [*arguments, *change]


def everything(folder: Path) -> dict[str, bytes]:
    """The files that a person sees, and anything temporary."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".unreadable.csv")
    }


@pytest.mark.parametrize(
    ("command", "change", "code", "message"), CASES, ids=[" ".join((case[0][0], *case[1])) for case in CASES]
)
def test_a_user_error_takes_at_most_two_lines_and_changes_nothing(
    house: Path, command: tuple[str, ...], change: tuple[str, ...], code: int, message: str
) -> None:
    before = everything(house)
    ended = dfal(*replaced(command, change), *(["--quiet"] if change or len(command) > 1 else []))
    assert ended.code == code, ended.stderr
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) <= 2
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert everything(house) == before


@pytest.mark.parametrize(
    ("command", "empty", "named"),
    [
        (FIRST, ("--images", ""), "--images"),
        (FIRST, ("--images=",), "--images"),
        (SELECT, ("--exclude", "", "-q"), "--exclude"),
        (SCORE, ("--twins-dir", ""), "--twins-dir"),
        (MERGE, ("--images", ""), "--images"),
        (TRAIN, ("--quiet", ""), "--quiet"),
        (("merge",), ("",), "merge"),
        ((), ("",), "dfal"),
    ],
)
def test_an_empty_argument_is_not_the_working_directory(
    house: Path, command: tuple[str, ...], empty: tuple[str, ...], named: str
) -> None:
    before = everything(house)
    ended = dfal(*command, *empty)
    said = f"dfal: {named} is followed by an empty value: is a shell variable not set?\n"
    assert (ended.code, ended.stdout, ended.stderr) == (2, "", said)
    assert everything(house) == before


def test_a_usage_error_is_followed_by_a_hint_to_the_help_and_quotes_no_line_breaks() -> None:
    missing, helped = dfal("merge", "--queries", "q.csv").stderr.splitlines()
    assert missing == "dfal merge: Missing option '--labels'."
    assert helped == "see `dfal merge --help` for the options"
    assert len(dfal("merge", "--no\nsuch").stderr.splitlines()) == 2
    assert len(dfal("select", "--count", "1\n2").stderr.splitlines()) == 2


@pytest.mark.parametrize("command", [TRAIN, SCORE, SELECT, FIRST, MERGE], ids=lambda command: command[0])
def test_the_commands_that_the_errors_are_made_from_work(house: Path, command: tuple[str, ...]) -> None:
    labels = ("--labels", "labels.csv") if command is SCORE else ()
    ended = dfal(*command, *labels, *(("--max-unreadable", "1") if command is SCORE else ()))
    assert ended.code == 0, ended.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_a_usage_error(house: Path) -> None:
    (house / "locked").mkdir(mode=0o500)
    ended = dfal(*replaced(SELECT, ("--out", "locked/new.csv")))
    assert ended.code == 2
    assert "locked" in ended.stderr

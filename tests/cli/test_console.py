"""What a log and a terminal are shown while dfal works."""

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dfal_cli.cli import console
from dfal_cli.cli.console import Log, Quiet

DATED = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread."""
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert condition()


class Said:
    """What has been printed to stderr so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._so_far = ""

    @property
    def text(self) -> str:
        self._so_far += self._capsys.readouterr().err
        return self._so_far

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """What a log says, which has a line every hundredth of a second instead of every half minute."""
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.01)
    return Said(capsys)


def test_a_log_reports_progress_while_a_unit_takes_long(said: Said) -> None:
    with Log().progress("simulating", 8, "rounds", now=lambda: "dfal, trial 1, round 0"):
        until(lambda: len(said.lines) > 2)
    for line in said.lines:
        assert re.fullmatch(DATED + "simulating: 0 of 8 rounds; now dfal, trial 1, round 0", line)


def test_the_latest_detail_appears_once_in_the_next_line_of_a_log(said: Said) -> None:
    log = Log()
    with log.progress("training", 3, "epochs"):
        log.detail("epoch 1: loss 2")
        until(lambda: "; epoch 1: loss 2\n" in said.text)
        until(lambda: said.lines[-1].endswith("training: 0 of 3 epochs"))
    assert said.text.count("epoch 1") == 1


def test_a_log_prints_nothing_after_the_work_is_done(said: Said) -> None:
    with Log().progress("hashing", 1, "files"):
        until(lambda: bool(said.lines))
    lines = said.lines
    time.sleep(0.05)
    assert said.lines == lines


def test_a_log_reports_work_that_cannot_be_counted(said: Said) -> None:
    with Log().busy("listing the images"):
        until(lambda: bool(said.lines))
    assert re.fullmatch(DATED + "listing the images: 0:00:0. so far", said.lines[0])


def test_quick_work_leaves_a_log_empty(capsys: pytest.CaptureFixture[str]) -> None:
    with Log().progress("hashing", 1, "files") as progress:
        progress.advance(1)
    assert capsys.readouterr().err == ""


def test_quiet_shows_only_warnings(said: Said) -> None:
    quiet = Quiet()
    with quiet.progress("hashing", 1, "files") as progress:
        progress.advance(1)
        quiet.note("said")
        quiet.warn("odd")
        time.sleep(0.05)
    assert said.text == "warning: odd\n"
    assert quiet.warnings == ["odd"]


def on_terminal(*arguments: object, **environment: str) -> str:
    """Run dfal with a terminal of 80 columns for stderr, and return what it shows there."""
    ours, theirs = pty.openpty()
    settings = {"TERM": "xterm", "COLUMNS": "80", **environment}
    base = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "dfal_cli", *map(str, arguments)],
        stdout=subprocess.DEVNULL, stderr=theirs, env=base | settings,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while read := os.read(ours, 65536):
            shown += read
    except OSError:  # how Linux says that the other end is closed
        pass
    process.wait()
    os.close(ours)
    return shown.decode()


RED, YELLOW = "\x1b[31m", "\x1b[33m"


def test_errors_are_red_and_warnings_yellow_on_a_terminal(in_tmp: Path, trained: Path) -> None:
    assert on_terminal("merge", "--queries", "none.csv", "--labels", "l.csv") == (
        f"{RED}dfal merge: none.csv: no such file (--queries)\x1b[0m\r\n"
    )
    assert on_terminal("merge", "--surprise").startswith(f"{RED}dfal merge: No such option: --surprise")
    select = ("select", "--images", trained / "images", "--strategy", "random", "--count", 999, "--out")
    assert f"{YELLOW}warning: --count 999" in on_terminal(*select, "q.csv")
    assert f"{YELLOW}warning: --count 999" in on_terminal(*select, "r.csv", "--quiet")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_no_colour_is_shown_if_it_is_disabled(in_tmp: Path, trained: Path, environment: dict[str, str]) -> None:
    select = ("select", "--images", trained / "images", "--strategy", "random", "--count", 999, "--out", "q.csv")
    assert "\x1b[3" not in on_terminal("merge", "--queries", "none.csv", "--labels", "l.csv", **environment)
    assert "\x1b[3" not in on_terminal(*select, **environment)


def test_a_progress_bar_fits_a_narrow_terminal(in_tmp: Path, trained: Path) -> None:
    train = ("train", "--images", trained / "images", "--labels", trained / "labels.csv", "--epochs", 2)
    shown = on_terminal(*train, "--device", "cpu", "--out", "m.safetensors", COLUMNS="20", PYTHONIOENCODING="ascii")
    assert "training" in shown
    assert "Traceback" not in shown
    assert "best of 2 epochs" in shown  # in one piece, for the terminal to wrap

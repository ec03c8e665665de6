"""dfal docs: the pages of the documentation in the terminal."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dfal_cli.cli.docs import topics
from tests.conftest import dfal

PAGES = Path(__file__).parents[2] / "dfal_cli" / "docs"


def test_without_a_topic_each_page_is_listed_in_one_line() -> None:
    ended = dfal("docs")
    listed = [line.split()[0] for line in ended.stdout.splitlines()]
    assert (ended.code, ended.stderr) == (0, "")
    assert listed == sorted(page.stem for page in PAGES.glob("*.md"))
    assert all(len(line) > 30 for line in ended.stdout.splitlines()), "the contents of each topic"


@pytest.mark.parametrize("topic", topics())
def test_a_topic_is_plain_text_when_stdout_is_no_terminal(topic: str) -> None:
    ended = dfal("docs", topic)
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[0] == (PAGES / f"{topic}.md").read_text(encoding="utf-8").splitlines()[0]
    assert not re.search(r"<!--|\[\[\[|\x1b", ended.stdout), "neither cog's markers nor escape sequences"
    assert not re.search(r"\]\((?!https?:)", ended.stdout), "no link that leads nowhere in a terminal"


def test_a_terminal_gets_the_page_formatted() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-m", "dfal_cli", "docs", "paper"]
    subprocess.run(command, stdout=theirs, env=environment, check=True)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "The paper" in shown
    assert "# The paper" not in shown
    assert "\x1b[" in shown


@pytest.mark.parametrize(("topic", "remedy"), [("margin", "did you mean margins?"), ("xyz", "commands, cron")])
def test_an_unknown_topic_is_a_usage_error_that_names_the_nearest(topic: str, remedy: str) -> None:
    ended = dfal("docs", topic)
    assert (ended.code, ended.stdout) == (2, "")
    assert topic in ended.stderr
    assert remedy in ended.stderr


def test_the_documentation_is_shown_without_pandas_and_torch() -> None:
    program = (
        "import sys; from dfal_cli.cli import app; app(['docs', 'margins'], standalone_mode=False);"
        "sys.exit(bool({'pandas', 'numpy', 'torch', 'rich.markdown'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

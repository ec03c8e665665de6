"""README and dfal_cli/docs: console blocks run as printed, generated tables are up to date, links lead somewhere."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import SAMPLE_DATA
from tests.served import run_script

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "dfal_cli" / "docs").glob("*.md"))
PAGES = [README, *DOCS]
LINKED = [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "tests").glob("*/README.md"))]
LONGEST_README = 200


def in_repository(page: Path) -> str:
    """A name for a page in test reports."""
    return page.relative_to(ROOT).as_posix()


def console_steps(page: Path) -> list[tuple[str, list[str]]]:
    """Each command of a page's console blocks, with the output lines that the page shows after it."""
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


def without_numbers(line: str) -> str:
    """The line with its numbers masked: accuracies and times differ between machines."""
    return re.sub(r"\d[\d.,]*", "N", line)


@pytest.mark.slow
def test_console_blocks_run_and_print_what_the_pages_show(in_tmp: Path) -> None:
    """The blocks of the README run first: those of the docs use its labels and its checkpoint."""
    for name in ("images", "labels.csv", "oracle.csv", "test.csv"):
        source = SAMPLE_DATA / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, in_tmp / name)
    steps = [step for page in PAGES for step in console_steps(page)]
    assert steps
    for command, shown in steps:
        done = run_script("bash", "-c", command)
        assert done.code == 0, (command, done.stderr)
        printed = {without_numbers(line) for line in (done.stdout + done.stderr).splitlines()}
        missing = [line for line in shown if without_numbers(line) not in printed]
        assert not missing, (command, missing, printed)


@pytest.mark.parametrize("page", PAGES, ids=in_repository)
def test_generated_tables_are_what_the_program_says(page: Path) -> None:
    cog = pytest.importorskip("cogapp")
    assert cog.Cog().main(["cog", "--check", "-I", str(ROOT), str(page)]) == 0


@pytest.mark.parametrize("page", LINKED, ids=in_repository)
def test_relative_links_lead_to_a_file_and_to_a_heading(page: Path) -> None:
    text = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    without_code = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README

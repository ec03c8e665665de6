"""Label files have owners, and other programs write them: dfal takes them away from nobody."""

import os
import subprocess
from pathlib import Path

import pytest

from dfal_cli.steps.merge import command as merging
from tests.conftest import Ended, dfal, write

OTHER, GROUP = 54_321, 54_322


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """labels.csv and a list of answers."""
    write(in_tmp / "labels.csv", "image,label", "a.png,cat")
    write(in_tmp / "q.csv", "image,label", "b.png,cat")
    return in_tmp


def merge() -> Ended:
    return dfal("merge", "--queries", "q.csv", "--labels", "labels.csv")


@pytest.mark.skipif(os.getuid() != 0, reason="needs to give files to other users")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_label_file_keeps_its_owner_its_group_and_its_mode(house: Path, mode: int) -> None:
    os.chown("labels.csv", OTHER, GROUP)
    Path("labels.csv").chmod(mode)
    assert merge().code == 0
    status = Path("labels.csv").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (OTHER, GROUP, mode)


def test_what_another_program_appends_while_merge_works_is_not_lost(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_in = merging.filled_in

    def filled_in_while_somebody_writes(*tables: object) -> object:
        subprocess.run(["bash", "-c", "echo person.png,dog >> labels.csv"], check=True)
        return fill_in(*tables)

    with monkeypatch.context() as patch:
        patch.setattr(merging, "filled_in", filled_in_while_somebody_writes)
        done = merge()
    assert (done.code, "another program changed the file; nothing was merged" in done.stderr) == (75, True)
    assert Path("labels.csv").read_text() == "image,label\na.png,cat\nperson.png,dog\n"
    assert merge().code == 0
    assert [line.split(",")[0] for line in Path("labels.csv").read_text().splitlines()] == [
        "image", "a.png", "person.png", "b.png",
    ]  # fmt: skip

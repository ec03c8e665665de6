"""Images and folders without the permission to read or enter them: each command lists or names them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import write
from tests.reliability.test_images_that_change import cells, house

__all__ = ["house"]

WITHOUT_THE_POWERS_OF_ROOT = (
    ["setpriv", "--inh-caps=-dac_override,-dac_read_search", "--bounding-set=-dac_override,-dac_read_search"]
    if os.geteuid() == 0
    else []
)


SEVERAL = """
import contextlib, json, sys
from dfal_cli.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["dfal", *arguments, "--images", "images"]
    try:
        main()
    except SystemExit as ended:
        print("ended with", ended.code or 0, file=sys.stderr)
"""


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may read everything")
def test_what_may_not_be_read_or_entered_is_listed(house: Path) -> None:
    locked = {"000.png": 0, "sealed": 0, "no names": 0o300, "names only": 0o600}
    for name in list(locked)[1:]:
        Path("images", name).mkdir()
        shutil.copy("images/001.png", Path("images", name, "a.png"))
    write(house / "labels.csv", "image,label", "001.png,a", "002.png,b", "000.png,a", "names only/a.png,b")
    write(house / "answers.csv", "image,label", "sealed/a.png,a")
    commands = [
        ["score", "--checkpoint", "model.safetensors", "--out", "s.csv", "--max-unreadable", "0.2", "--quiet"],
        ["train", "--labels", "labels.csv", "--out", "new.safetensors", "--quiet"],
        ["merge", "--queries", "answers.csv", "--labels", "new.csv"],
    ]
    for name, mode in locked.items():
        Path("images", name).chmod(mode)
    try:
        done = subprocess.run(
            [*WITHOUT_THE_POWERS_OF_ROOT, sys.executable, "-c", SEVERAL, json.dumps(commands)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        for name in locked:
            Path("images", name).chmod(0o700)
    scored, *ended = done.stderr.splitlines()
    assert [line for line in ended if line.startswith("ended")] == ["ended with 0", "ended with 3", "ended with 3"]
    assert scored == "warning: 4 of 43 images cannot be read; see s.csv.unreadable.csv for the reasons"
    assert cells("s.csv.unreadable.csv", "reason") == {
        "000.png": "Permission denied",
        "names only/a.png": "Permission denied",
        "no names/": "a folder: Permission denied",
        "sealed/": "a folder: Permission denied",
    }
    assert "dfal train: labels.csv, line 4: image '000.png': Permission denied; repair it" in done.stderr
    assert "dfal merge: answers.csv, line 2: image 'sealed/a.png' is not under images; restore it, " in done.stderr

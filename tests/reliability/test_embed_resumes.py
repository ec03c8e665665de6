"""embed: killed at any moment and called again, it resumes, and gives the embeddings of an uninterrupted run."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dfal_cli.system import parts
from dfal_cli.tables.embeddings import read_embeddings
from tests.packed import pack
from tests.reliability.slow_scoring import FORKING, parts_of
from tests.steps.embedding import draw_photos, embed, paint, seen

OUT = "e.parquet"
BATCHES = ("--batch-size", 2)


@pytest.fixture
def project(in_tmp: Path) -> Path:
    return draw_photos(in_tmp, count=30)


def killed_when(come: Callable[[], bool]) -> None:
    """Run the command as a process of its own, and kill it when it has come to that."""
    process = FORKING.Process(target=_embed_slowly, args=(str(Path.cwd()),))
    process.start()
    deadline = time.monotonic() + 60
    while not come():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _embed_slowly(folder: str) -> None:
    os.chdir(folder)
    os.environ["SECONDS_A_FORWARD"] = "0.02"
    parts.SECONDS, parts.SHARE = 0.02, 1.0
    sys.exit(embed(*BATCHES).code)


def interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt the command after 16 images."""
    monkeypatch.setenv("INTERRUPTED_AT", "11")  # two forward passes try the backbone out
    assert embed(*BATCHES).code == 130
    assert len(parts_of(OUT)) == 1
    monkeypatch.delenv("INTERRUPTED_AT")
    seen()


def test_a_killed_run_ends_with_the_file_of_an_uninterrupted_run(project: Path) -> None:
    killed_when(lambda: len(parts_of(OUT)) > 2)
    assert not Path(OUT).exists()
    seen()
    ended = embed(*BATCHES)
    assert "resuming after " in ended.stderr
    assert 0 < seen() < 28
    assert embed(*BATCHES, out="undisturbed.parquet").code == 0
    assert Path(OUT).read_bytes() == Path("undisturbed.parquet").read_bytes()
    assert not Path(f".{OUT}.parts").exists()


def test_a_killed_run_on_tars_resumes_as_well(project: Path) -> None:
    for folder in ("photos/a", "photos/b"):
        pack(Path(folder), Path(f"{folder}.tar"))
        shutil.rmtree(folder)
    killed_when(lambda: len(parts_of(OUT)) > 2)
    seen()
    assert "resuming after " in embed(*BATCHES).stderr
    assert 0 < seen() < 28
    assert embed(*BATCHES, out="undisturbed.parquet").code == 0
    assert Path(OUT).read_bytes() == Path("undisturbed.parquet").read_bytes()


def test_images_that_change_after_an_interruption_do_not_cost_the_finished_work(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch)
    paint(Path("photos/a/00.png"), np.full((2, 2, 3), 60))
    paint(Path("photos/a/000.png"), np.full((2, 2, 3), 61))
    Path("photos/a/02.png").unlink()
    assert "resuming after 14 of 30 images" in embed(*BATCHES).stderr
    assert seen() == 16
    assert embed(*BATCHES, out="undisturbed.parquet").code == 0
    resumed, undisturbed = (read_embeddings(Path(out)) for out in (OUT, "undisturbed.parquet"))
    assert resumed.images == undisturbed.images
    np.testing.assert_allclose(resumed.vectors, undisturbed.vectors, atol=1e-6)


def test_finished_work_with_other_settings_or_weights_is_not_used(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch)
    ended = embed(*BATCHES, "--resize", "pad")
    assert "starting over: the unfinished embeddings" in ended.stderr
    assert "were made without --resize pad" in ended.stderr
    assert seen() == 30
    Path(OUT).unlink()
    interrupt(monkeypatch)
    monkeypatch.setenv("WEIGHT", "2")
    assert "resuming after " not in embed(*BATCHES).stderr
    assert seen() == 30
    monkeypatch.delenv("WEIGHT")
    assert embed(*BATCHES, out="other.parquet").code == 0
    doubled, plain = (read_embeddings(Path(out)).vectors for out in (OUT, "other.parquet"))
    np.testing.assert_allclose(doubled, 2 * plain, atol=1e-6)

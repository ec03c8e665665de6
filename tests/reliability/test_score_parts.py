"""score: killed at any moment and called again, it resumes, and gives the result of an uninterrupted run."""

import shutil
import sys
from pathlib import Path

import pytest

from dfal_cli.steps.score import pixels
from dfal_cli.system import parts
from dfal_cli.system.parts import Parts
from tests.conftest import dfal, draw_twins_in_size, swap, write
from tests.reliability.slow_scoring import (
    files_beside,
    killed_again_and_again,
    killed_when,
    make_checkpoint,
    make_project,
    parts_of,
    same_scores,
    score,
    twins_in,
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        make_project(root)
    return root


@pytest.fixture
def project(drawn, tmp_path, monkeypatch):
    """Of its own, as the working directory."""
    root = shutil.copytree(drawn, tmp_path / "project")
    monkeypatch.chdir(root)
    return root


def killed_in_the_pool(out, *further):
    assert killed_when(lambda: any(path.name.startswith("pool") for path in parts_of(out)), out, *further)


@pytest.mark.parametrize(
    ("out", "options", "sections"),
    [
        ("s.csv", (), {"pool"}),
        ("s.csv", ("--nearest", 12, "--measure", "egl"), {"pool", "margins"}),
        ("s.parquet", ("--measure", "embedding", "--measure", "bald", "--nearest", 0), {"pool", "labelled"}),
    ],
    ids=["every margin, CSV", "the nearest and egl, CSV", "embeddings and bald, Parquet"],
)
def test_a_run_killed_repeatedly_ends_with_the_rows_of_an_uninterrupted_run(project, out, options, sections):
    seen = killed_again_and_again(out, *options)
    assert {name.partition("-")[0] for name in seen} >= sections
    assert len(seen) > 3
    assert score(f"undisturbed-{out}", *options).code == 0
    assert same_scores(out, f"undisturbed-{out}")
    listing = Path(f"{out}.unreadable.csv").read_text()
    assert listing == Path(f"undisturbed-{out}.unreadable.csv").read_text()
    assert listing.count("\n") == 3
    if "labelled" in sections:
        labelled = Path(f"{out}.labelled.parquet").read_bytes()
        assert labelled == Path(f"undisturbed-{out}.labelled.parquet").read_bytes()
    assert not Path(f".{out}.parts").exists()


def test_a_run_killed_while_writing_twins_keeps_the_same_twins(project):
    twins = Path("s.parquet.twins")
    assert killed_when(lambda: len(list(twins.glob("*.npy"))) > 2, "s.parquet", "--twins", 20)
    assert 0 < len(list(twins.glob("*.npy"))) < 20
    assert score("s.parquet", "--twins", 20).code == 0
    assert score("undisturbed.parquet", "--twins", 20).code == 0
    assert same_scores("s.parquet", "undisturbed.parquet")
    assert twins_in("s.parquet") == twins_in("undisturbed.parquet")


def test_a_resumed_run_reports_its_start_and_removes_the_parts_at_the_end(project):
    killed_in_the_pool("s.csv")
    ended = score("s.csv")
    assert ended.code == 0
    assert "resuming after " in ended.stderr
    assert " of 40 images\n" in ended.stderr
    assert set(files_beside("s.csv")) == {"s.csv", "s.csv.meta.json", "s.csv.unreadable.csv"}
    assert score("s.csv", "--json").json["status"] == "up to date"


def test_finished_margins_of_the_nearest_are_not_computed_again(project):
    margins = Path(".s.csv.parts/margins-0000000000.part")
    assert killed_when(margins.exists, "s.csv", "--nearest", 12)
    ended = score("s.csv", "--nearest", 12)
    assert ended.code == 0
    assert "resuming after 40 of 40 images and " in ended.stderr
    assert " margins\n" in ended.stderr


def test_rows_that_a_kill_left_beside_the_metadata_of_newer_ones_are_written_again(project):
    assert score("s.csv", "--norm", "linf").code == 0
    older = Path("s.csv").read_bytes()
    assert score("s.csv", "--force").code == 0
    newer = Path("s.csv").read_bytes()
    Path("s.csv").write_bytes(older)
    told = dfal("select", "--scores", "s.csv", "--count", 2, "--out", "q.csv", "--json").json["warnings"]
    assert "s.csv: does not match its meta.json" in told[0]
    assert score("s.csv", "--json").json["status"] == "done"
    assert Path("s.csv").read_bytes() == newer
    again = dfal("select", "--scores", "s.csv", "--count", 2, "--out", "q.csv", "--force", "--json")
    assert again.json["warnings"] == []


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ("checkpoint", (), "made from another checkpoint"),
        (
            "settings",
            ("--norm", "linf", "--overshoot", 0.1),
            "made with --norm l2, not linf and with --overshoot 0.02, not 0.1",
        ),
        ("image", (), "made from another list of images"),
        ("names", (), "made from another list of images, or before some of them changed or were touched (renamed, "),
        ("labels", (), "made from another list of images"),
        ("code", (), "made with other code of the network"),
    ],
)
def test_another_checkpoint_other_code_settings_or_images_start_anew_and_say_so(
    project, monkeypatch, change, options, said
):
    draw_twins_in_size(project / "images", "030.png", "040.png")
    killed_in_the_pool("s.csv")
    if change == "checkpoint":
        make_checkpoint(project / "net.safetensors", seed=1)
    elif change == "image":
        (project / "images" / "040.png").touch()
    elif change == "names":
        swap(project / "images" / "030.png", project / "images" / "040.png")
    elif change == "code":
        (project / "slow_net.py").write_text((project / "slow_net.py").read_text() + "# otherwise\n")
        monkeypatch.delitem(sys.modules, "slow_net")  # each command is a process of its own
    elif change == "labels":
        write(project / "labels.csv", *(project / "oracle.csv").read_text().splitlines()[:22])
    ended = score("s.csv", *options)
    assert ended.code == 0, ended.stderr
    assert f"starting over: the unfinished scores in {project}/.s.csv.parts were made " in ended.stderr
    assert said in ended.stderr
    assert "resuming" not in ended.stderr
    assert score("undisturbed.csv", *options).code == 0
    assert same_scores("s.csv", "undisturbed.csv")
    assert not Path(".s.csv.parts").exists()


@pytest.mark.parametrize("harm", ["truncated", "zeros", "nonsense", "swapped"])
def test_a_damaged_part_is_computed_anew(project, harm):
    killed_when(lambda: len(parts_of("s.csv")) > 2, "s.csv")
    first, second, *_ = parts_of("s.csv")
    content = first.read_bytes()
    if harm == "swapped":
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
    else:
        first.write_bytes({"truncated": content[:-9], "zeros": bytes(len(content)), "nonsense": b"part"}[harm])
    ended = score("s.csv")
    assert ended.code == 0, ended.stderr
    assert "resuming after" in ended.stderr
    assert ("1 damaged file " in ended.stderr) == (harm != "swapped")
    assert score("undisturbed.csv").code == 0
    assert same_scores("s.csv", "undisturbed.csv")


def test_an_interrupt_keeps_every_finished_batch(project, monkeypatch):
    monkeypatch.setenv("INTERRUPTED_AT", "25")
    interrupted = score("s.csv")
    assert interrupted.code == 130
    assert not Path("s.csv").exists()
    assert len(parts_of("s.csv")) == 1
    monkeypatch.delenv("INTERRUPTED_AT")
    assert "resuming after" in score("s.csv").stderr
    assert score("undisturbed.csv").code == 0
    assert same_scores("s.csv", "undisturbed.csv")


def test_force_replaces_the_output_and_resumes_an_unfinished_call_with_force(project):
    assert score("s.csv", "--norm", "linf").code == 0
    before = Path("s.csv").read_bytes()
    killed_in_the_pool("s.csv", "--force")
    assert Path("s.csv").read_bytes() == before
    assert "resuming after" in score("s.csv", "--force").stderr
    assert Path("s.csv").read_bytes() != before


def test_parts_of_an_unfinished_call_are_removed_if_the_existing_output_is_up_to_date(project):
    assert score("s.csv").code == 0
    killed_in_the_pool("s.csv", "--force", "--norm", "linf")
    refused = score("s.csv", "--overshoot", 0.1)
    assert refused.code == 2
    assert parts_of("s.csv")
    assert score("s.csv", "--json").json["status"] == "up to date"
    assert not parts_of("s.csv")


def test_scores_are_kept_when_too_many_images_are_unreadable(project, monkeypatch):
    monkeypatch.setattr(parts, "SECONDS", 0.0)
    monkeypatch.setattr(parts, "SHARE", 1e9)
    refused = score("s.csv", "--max-unreadable", 0.01)
    assert refused.code == 3
    ended = score("s.csv")
    assert ended.code == 0
    assert "resuming after 40 of 40 images" in ended.stderr


def test_a_resumed_run_keeps_its_batch_size(project, monkeypatch):
    """The grid of the batches is that of a run which has shrunk its batches at the same place."""
    for number in range(300):
        shutil.copy(project / "images" / f"{number % 50:03d}.png", project / "images" / f"more{number:03d}.png")
    monkeypatch.setenv("MOST", "100")
    undisturbed = score("undisturbed.csv", "--json", batch_size=None)
    assert undisturbed.json["batch_size"] == 64
    monkeypatch.setenv("INTERRUPTED_AT", "30")
    assert score("s.csv", batch_size=None).code == 130
    monkeypatch.delenv("INTERRUPTED_AT")
    monkeypatch.delenv("MOST")  # by now others have left the device
    assert score("s.csv", "--json", batch_size=None).json["batch_size"] == 64
    assert same_scores("s.csv", "undisturbed.csv")


def test_a_short_run_writes_no_parts(project, monkeypatch):
    written = []
    monkeypatch.setattr(Parts, "write_part", lambda *arguments: written.append(arguments))
    assert score("s.csv", "--nearest", 12).code == 0
    assert not written


def test_a_checkpoint_that_is_replaced_as_score_begins_is_not_taken_for_the_one_before(project, monkeypatch):
    told = pixels.scores_inputs

    def replaced_afterwards(*arguments):
        shaped_by = told(*arguments)
        make_checkpoint(project / "net.safetensors", seed=1)
        return shaped_by

    monkeypatch.setattr(pixels, "scores_inputs", replaced_afterwards)
    ended = score("s.csv")
    assert (ended.code, "net.safetensors: has just been replaced" in ended.stderr) == (75, True), ended.stderr
    assert not Path("s.csv").exists()

"""Networks that are not what they should be: warned of, counted by reason, or refused; never believed in silence."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from dfal_cli.checkpoint import save_checkpoint
from dfal_cli.models import Network, Normalisation
from tests.conftest import dfal, dfal_process, draw_folder, write
from tests.reliability import liars
from tests.reliability.lying import CLASSES, SHAPE

MANY = 30


@pytest.fixture
def pool(in_tmp, monkeypatch):
    """A folder of images, with the networks importable; torch's own settings are put back afterwards."""
    draw_folder(in_tmp, each=MANY // 2)
    shutil.copy(liars.__file__, in_tmp)
    before = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), torch.get_rng_state()
    yield in_tmp
    torch.set_default_dtype(before[0])
    torch.set_num_threads(before[1])
    torch.set_grad_enabled(before[2])
    torch.set_rng_state(before[3])
    sys.modules.pop("liars", None)


def checkpoint(name):
    network = Network(getattr(liars, name)(len(CLASSES), SHAPE), Normalisation())
    path = Path(f"{name}.safetensors")
    save_checkpoint(path, network, architecture=f"liars:{name}", classes=CLASSES, input_shape=SHAPE, extra_metadata={})
    return path


def score(name, *further, command=dfal, **settings):
    return command(
        "score", "--images", "images", "--checkpoint", checkpoint(name), "--out", f"{name}.parquet", "--trust-code",
        "--device", "cpu", *further, **settings,
    )  # fmt: skip


def rows(name):
    return pq.read_table(f"{name}.parquet").to_pandas()


def test_a_sound_network_is_not_warned_of(pool):
    ended = score("plain", "--json")
    assert ended.json["warnings"] == []
    assert ended.json["counts"]["crossed"] == MANY
    assert ended.json["uncrossed_because"] == {}


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("constant", "no pixel has a gradient"),
        ("constant", f"all {MANY} images are predicted as 'light': the network may not have learnt anything"),
        ("detached", "no pixel has a gradient"),
        ("no_gradient", "no pixel has a gradient"),
        ("rounded", "no pixel has a gradient"),
        ("grad_off", "no pixel has a gradient"),
        ("nan_for_some", "the logits of 15 of 30 images are not finite"),
        ("nan_for_all", "the logits of 30 of 30 images are not finite"),
        ("random", "the same images give different logits each time"),
        ("random", "changes the random generator of torch"),
        ("trains_always", "an image alone gives different logits than in a batch"),
        ("by_batch_mates", "an image alone gives different logits than in a batch"),
        ("grad_on", "changes the gradient mode of torch"),
        ("other_threads", "changes the number of threads of torch"),
        ("other_type", "changes the default type of torch"),
        ("other_seed", "changes the random generator of torch"),
    ],
)
def test_untrustworthy_results_are_warned_of(pool, name, warning):
    ended = score(name, "--json")
    assert ended.code == 0, ended.stderr
    assert any(warning in said for said in ended.json["warnings"]), ended.stderr
    assert warning in ended.stderr
    assert len(rows(name)) == MANY


@pytest.mark.parametrize("estimator", ["deepfool", "refined"])
@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("constant", {"no gradient": 30}),
        ("detached", {"no gradient": 30}),
        ("nan_for_some", {"not finite": 15}),
        ("nan_for_all", {"not finite": 30}),
        ("nan_off_the_image", {"not finite": 30}),
    ],
)
def test_images_without_a_margin_are_counted_by_reason(pool, name, reasons, estimator):
    ended = score(name, "--estimator", estimator, "--json")
    count = sum(reasons.values())
    assert ended.json["counts"]["uncrossed"] == count
    assert ended.json["uncrossed_because"] == reasons
    (reason,) = reasons
    assert f"{count} uncrossed ({count} {reason})" in ended.stderr.splitlines()[-1]
    assert f"{count} of {MANY} images have no margin" in ended.stderr
    table = rows(name)
    assert (table["outcome"] == "uncrossed").sum() == count
    assert table.loc[table["outcome"] == "uncrossed", "margin"].isna().all()


def test_the_iteration_cap_is_a_reason_too(trained, in_tmp):
    ended = dfal("score", "--images", trained / "images", "--checkpoint", trained / "model.safetensors", "--out",
                 "s.parquet", "--max-iterations", 1, "--overshoot", 0, "--device", "cpu", "--json")  # fmt: skip
    counts = ended.json["counts"]
    assert counts["uncrossed"] > 0
    assert ended.json["uncrossed_because"] == {"cap reached": counts["uncrossed"]}


def test_images_with_logits_that_are_not_finite_do_not_count_as_far_away(pool):
    ended = score("nan_for_some", "--nearest", 5, "--json")
    assert ended.json["uncrossed_because"] == {"not finite": 15}
    assert (rows("nan_for_some")["outcome"] == "uncrossed").sum() == 15


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("flat", "returned (2,) instead of logits of shape (2, 2)"),
        ("spatial", "returned (2, 2, 1, 1) instead of logits of shape (2, 2)"),
        ("as_tuple", "returned tuple"),
        ("as_dict", "returned dict"),
        ("one_class_more", "returned (2, 3) instead of logits of shape (2, 2)"),
        ("one_class", "returned (2, 1) instead of logits of shape (2, 2)"),
        ("lost_for_one", "returned (2,) instead of logits of shape (1, 2)"),
        ("whole_numbers", "returned torch.int64"),
        ("elsewhere", "returned a tensor on meta instead of a tensor on cpu"),
        ("raising", "ValueError: nothing doing ("),
        ("exiting", "SystemExit: 0 ("),
    ],
)
def test_a_network_that_returns_no_logits_is_refused_with_the_reason(pool, name, said):
    ended = score(name)
    assert ended.code == 2, ended.stderr
    assert f"--arch liars:{name}: " in ended.stderr
    assert said in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert not Path(f"{name}.parquet").exists()


@pytest.mark.parametrize("name", ["writing_into_input", "counting", "printing", "double"])
def test_a_network_that_changes_itself_does_not_change_scores(pool, name):
    ended = score(name)
    assert ended.code == 0, ended.stderr
    assert ended.stdout == f"{name}.parquet\n"  # what it prints is no result
    assert ("look at me" in ended.stderr) == (name == "printing")
    assert score("plain").code == 0
    one, other = rows(name), rows("plain")
    assert one["margin"].to_numpy() == pytest.approx(other["margin"].to_numpy(), rel=1e-3)


def test_output_that_a_network_prints_in_a_simulation_is_not_a_result(pool):
    header, *labels = Path("oracle.csv").read_text().splitlines()
    write(Path("labelled.csv"), header, *labels[:20])
    write(Path("test.csv"), header, *labels[20:])
    ended = dfal_process(
        "simulate", "--images", "images", "--labels", "labelled.csv", "--test", "test.csv", "--arch", "liars:printing",
        "--strategies", "random", "--initial", 8, "--budget", 16, "--epochs", 1, "--trials", 2, "--jobs", 2,
        "--device", "cpu", "--out", "out",
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        f"out/{name}" for name in ("results.csv", "timings.csv", "curves.png", "report.html")
    ]
    assert "look at me" in ended.stderr


def test_a_network_that_forks_leaves_one_dfal(pool):
    ended = score("forking", command=dfal_process)
    assert ended.code == 0, ended.stderr
    assert ended.stdout == "forking.parquet\n"
    assert ended.stderr.count("30 scored") == 1


def test_a_network_that_never_returns_can_be_interrupted(pool):
    done = subprocess.Popen(
        [sys.executable, "-m", "dfal_cli", "score", "--images", "images", "--checkpoint", checkpoint("never_ending"),
         "--out", "s.parquet", "--trust-code", "--device", "cpu"],
        stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    assert "scoring" in done.stderr.readline()
    while done.poll() is None:  # the first may wait for the batch to end, which it never does
        done.send_signal(signal.SIGTERM)
        time.sleep(1)
    assert done.returncode in (143, -signal.SIGTERM)
    assert not Path("s.parquet").exists()


def test_training_a_network_without_a_finite_loss_is_refused(pool):
    labels = ("--images", "images", "--labels", "oracle.csv", "--device", "cpu", "--epochs", 2)
    ended = dfal("train", *labels, "--arch", "liars:nan_for_all", "--out", "m.safetensors")
    assert ended.code == 2, ended.stderr
    assert "training diverged" in ended.stderr
    assert not Path("m.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("detached", "do not depend on any trainable weight"),
        ("raising", "nothing doing"),
        ("exiting", "SystemExit"),
    ],
)
def test_training_a_network_without_trainable_weights_is_refused(pool, name, said):
    labels = ("--images", "images", "--labels", "oracle.csv", "--device", "cpu", "--epochs", 2)
    ended = dfal("train", *labels, "--arch", f"liars:{name}", "--out", "m.safetensors")
    assert ended.code == 2, ended.stderr
    assert said in ended.stderr.splitlines()[-1]
    assert not Path("m.safetensors").exists()


MEASURES = [option for name in ("egl", "bald", "embedding", "probabilities") for option in ("--measure", name)]


@pytest.mark.parametrize("name", ["constant", "detached", "nan_for_some", "random", "by_batch_mates", "grad_off"])
@pytest.mark.parametrize("further", [MEASURES[:2], MEASURES[4:], ["--twins", 3, "--clip"], ["--nearest", 5]], ids=str)
def test_no_command_shows_a_traceback_for_such_a_network(pool, name, further):
    ended = score(name, *further)
    assert ended.code in (0, 2), ended.stderr
    assert "cannot be trusted" in ended.stderr or "not finite" in ended.stderr
    assert (ended.code == 0) == Path(f"{name}.parquet").exists()

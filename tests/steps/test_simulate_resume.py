"""simulate: killed and run again, asked for more, in several processes."""

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dfal_cli.errors import DataError
from dfal_cli.steps.simulate import rounds
from dfal_cli.steps.simulate.runs import RoundResult, RoundTask, Simulation
from dfal_cli.system.files import locked
from tests.conftest import Ended, dfal, draw_divided_folder
from tests.steps.stopping import is_alive, rounds_in, stop_when

SETTINGS = ("--initial", 4, "--count", 3, "--budget", 16, "--epochs", 20, "--patience", 20, "--seed", 7)


def arguments(root: Path, out: str, *further: object) -> tuple[object, ...]:
    files = ("--images", root / "images", "--labels", root / "pool.csv", "--test", root / "test.csv")
    return ("simulate", *files, "--out", root / out, *SETTINGS, "--device", "cpu", *further)


def simulate(root: Path, out: str, *further: object) -> Ended:
    ended = dfal(*arguments(root, out, "--quiet", *further))
    assert ended.code == 0, ended.stderr
    return ended


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, pool.csv (16 of them), test.csv (the other 8) and out/, where dfal and random have been simulated."""
    root = draw_divided_folder(tmp_path_factory.mktemp("resume"))
    simulate(root, "out", "--strategies", "dfal,random", "--jobs", 1)
    return root


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see whether processes are alive")
@pytest.mark.parametrize(
    ("number", "code", "rounds"), [(signal.SIGKILL, -9, 1), (signal.SIGINT, 130, 3), (signal.SIGTERM, 143, 5)]
)
def test_an_interrupted_simulation_leaves_no_process_and_resumes_to_the_same_results(
    house: Path, number: signal.Signals, code: int, rounds: int
) -> None:
    command = arguments(house, number.name, "--strategies", "dfal,random", "--jobs", 2)
    out = house / number.name
    ended, stderr, children = stop_when(lambda: rounds_in(out) >= rounds, number, *command)
    assert ended == code
    assert "Traceback" not in stderr
    assert len(children) >= 2
    deadline = time.monotonic() + 10
    while any(map(is_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_alive, children))
    assert ("interrupted after" in stderr) == (number != signal.SIGKILL)
    there = rounds_in(out)
    again = dfal(*arguments(house, number.name, "--strategies", "dfal,random", "--jobs", 1))
    assert f"resuming after {there} of 10 rounds" in again.stderr
    results, expected = ((house / name / "results.csv").read_bytes() for name in (number.name, "out"))
    assert results == expected


def test_tables_have_the_rounds_so_far_and_lose_none_when_it_is_stopped_again(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = arguments(house, "grows", "--strategies", "dfal,random", "--jobs", 1)
    play = rounds.play

    def stopped_after(most: int) -> Callable[[Simulation, RoundTask], Iterator[RoundResult]]:
        def playing(simulation: Simulation, turn: RoundTask) -> Iterator[RoundResult]:
            if turn.number == most:
                raise DataError("enough")
            return play(simulation, turn)

        return playing

    expected = pd.read_csv(house / "out" / "results.csv")
    for there in (3, 3, 4):
        monkeypatch.setattr(rounds, "play", stopped_after(there))
        assert dfal(*command).code == 3
        results, timings = (pd.read_csv(house / "grows" / name) for name in ("results.csv", "timings.csv"))
        assert results.equals(expected[expected["round"] < there].reset_index(drop=True))
        assert len(timings) == 2 * there
    monkeypatch.setattr(rounds, "play", play)
    assert dfal(*command).code == 0
    assert (house / "grows" / "results.csv").read_bytes() == (house / "out" / "results.csv").read_bytes()


def test_more_strategies_and_trials_use_what_is_there_and_fewer_compute_nothing(house: Path) -> None:
    simulate(house, "more", "--strategies", "random", "--jobs", 1)
    first = pd.read_csv(house / "more" / "timings.csv")
    simulate(house, "more", "--strategies", "dfal,random", "--trials", 2, "--jobs", 1)
    results, timings = (pd.read_csv(house / "more" / name) for name in ("results.csv", "timings.csv"))
    assert results.groupby(["trial", "strategy"], sort=False).ngroups == 4
    assert results["trial"].tolist() == [1] * 10 + [2] * 10
    assert results[results["trial"] == 1].equals(pd.read_csv(house / "out" / "results.csv"))
    again = timings[(timings["strategy"] == "random") & (timings["trial"] == 1)].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, first)
    fewer = dfal(*arguments(house, "more", "--strategies", "random", "--json", "--jobs", 1))
    assert f"3 other runs are kept in {house / 'more' / '.rounds'} but not shown" in fewer.stderr
    assert fewer.json["status"] == "done"
    assert set(pd.read_csv(house / "more" / "results.csv")["strategy"]) == {"random"}
    pd.testing.assert_frame_equal(pd.read_csv(house / "more" / "timings.csv"), first)


def test_rounds_that_have_ended_stay_and_are_not_mixed_with_those_of_other_settings(house: Path) -> None:
    command = arguments(house, "killed", "--strategies", "random", "--quiet", "--jobs", 1)
    assert stop_when(lambda: rounds_in(house / "killed") >= 1, signal.SIGKILL, *command)[0] == -9
    ended = dfal(*command, "--lr", 0.1)
    assert (ended.code, "--force" in ended.stderr) == (2, True)
    done = house / "killed" / ".rounds" / "random-1" / "0" / "done.json"
    done.write_text(done.read_text().replace('"0","4"', '"0","44"'))
    assert dfal(*command).code == 0
    assert pd.read_csv(house / "killed" / "results.csv")["annotations"].tolist() == [44, 7, 10, 13, 16]
    assert dfal(*command, "--lr", 0.1, "--force").code == 0
    assert pd.read_csv(house / "killed" / "results.csv")["annotations"].tolist() == [4, 7, 10, 13, 16]


def test_runs_that_another_command_discarded_meanwhile_are_played_again(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for the folder finds it otherwise than it was."""
    command = arguments(house, "meanwhile", "--strategies", "dfal,random", "--jobs", 2)
    assert dfal(*command).code == 0

    @contextlib.contextmanager
    def locked_late(*given: Any) -> Iterator[None]:
        with locked(*given):
            shutil.rmtree(house / "meanwhile" / ".rounds")
            yield

    def played_here(*_: object) -> Iterator[RoundResult]:
        raise AssertionError("with this process's threads")

    monkeypatch.setattr("dfal_cli.steps.simulate.command.locked", locked_late)
    monkeypatch.setattr(rounds, "play", played_here)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    again = dfal(*command, "--json")
    assert (again.code, again.json["status"]) == (0, "done")
    assert (house / "meanwhile" / "results.csv").read_bytes() == (house / "out" / "results.csv").read_bytes()


def test_results_do_not_depend_on_the_number_of_jobs_or_threads(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    simulate(house, "jobs", "--strategies", "dfal,random", "--jobs", 2)
    assert os.environ["OMP_NUM_THREADS"] == "2"
    jobs, expected = ((house / name / "results.csv").read_bytes() for name in ("jobs", "out"))
    assert jobs == expected


def test_an_error_in_a_process_is_the_error_of_the_command(house: Path) -> None:
    ended = dfal(*arguments(house, "wrong", "--arch", "lenet6", "--jobs", 2, "--quiet"))
    assert ended.code == 2
    assert "lenet6" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_trial_is_in_the_tables_before_the_next_one_ends(house: Path) -> None:
    out = house / "early"
    command = arguments(house, "early", "--strategies", "dfal,random", "--trials", 2, "--jobs", 1)
    rows = out / "results.csv"
    ended, stderr, _ = stop_when(
        lambda: rows.exists() and len(rows.read_text().splitlines()) > 10, signal.SIGTERM, *command
    )
    assert (ended, "of 20 rounds; run the same command again to resume" in stderr) == (143, True)
    assert not (out / "curves.png").exists()
    expected = pd.read_csv(house / "out" / "results.csv")
    pd.testing.assert_frame_equal(pd.read_csv(rows).query("trial == 1").reset_index(drop=True), expected)
    assert len(pd.read_csv(out / "timings.csv").query("trial == 1")) == 10


def test_rounds_of_a_run_that_was_killed_as_it_ended_are_counted_once(house: Path) -> None:
    shutil.copytree(house / "out", house / "counted")
    left = house / "counted" / ".rounds" / "random-1" / "0" / "done.json"
    left.parent.mkdir(parents=True)
    rows = json.loads((house / "out" / ".rounds" / "random-1.rows.json").read_text())
    left.write_text(json.dumps(rows[0]))
    refused = dfal(*arguments(house, "counted", "--strategies", "dfal,random", "--lr", 0.5))
    assert (refused.code, "to discard its 10 rounds" in refused.stderr) == (2, True)


def test_rounds_of_a_version_without_the_last_columns_are_kept(house: Path) -> None:
    shutil.copytree(house / "out", house / "older")
    for path in (house / "older" / ".rounds").glob("*.rows.json"):
        rounds = json.loads(path.read_text())
        path.write_text(json.dumps([[result[:7], timing] for result, timing in rounds]))
    again = dfal(*arguments(house, "older", "--strategies", "dfal,random", "--trials", 1))
    assert (again.code, "resuming" in again.stderr) == (0, False)
    results, expected = (pd.read_csv(house / name / "results.csv") for name in ("older", "out"))
    assert results["balanced_accuracy"].isna().all()
    pd.testing.assert_frame_equal(results.iloc[:, :7], expected.iloc[:, :7])


@pytest.mark.slow
def test_an_interrupted_forced_simulation_says_to_resume_without_force(house: Path) -> None:
    simulate(house, "forced", "--strategies", "random", "--jobs", 1)
    command = arguments(house, "forced", "--strategies", "random", "--jobs", 1)
    begun = stop_when(lambda: 1 <= rounds_in(house / "forced") < 5, signal.SIGTERM, *command, "--force")
    remedy = "run the same command again to resume (without --force, which would start over)"
    assert (begun[0], remedy in begun[1]) == (143, True)
    assert "resuming after " in dfal(*command).stderr


def test_only_twins_that_labels_refer_to_are_kept_during_a_run(house: Path) -> None:
    out = house / "twins"
    command = arguments(house, "twins", "--strategies", "dfal-diverse", "--jobs", 1)
    assert stop_when(lambda: rounds_in(out) >= 3, signal.SIGKILL, *command)[0] == -9
    finished = [path.parent for path in out.glob(".rounds/*/[01]/done.json")]
    assert len(finished) == 2
    for folder in finished:
        twins = pd.read_csv(folder / "labels.csv", keep_default_na=False)["twin"]
        used = {(folder / twin).resolve() for twin in twins if twin}
        there = {twin.resolve() for twin in (folder / "scores.parquet.twins").rglob("*.npy")}
        assert there
        assert there <= used


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("random-1.rows.json", ""),
        ("input.json", "[1]"),
        ("random-1/0/done.json", '[["random"], []]'),
        ("images-*.json", "[["),
    ],
)
def test_a_damaged_file_of_the_simulation_is_made_again(house: Path, name: str, content: str) -> None:
    out = house / "damaged"
    shutil.rmtree(out, ignore_errors=True)
    if name in ("random-1.rows.json", "input.json"):
        shutil.copytree(house / "out", out)
    else:
        command = arguments(house, "damaged", "--strategies", "random", "--quiet", "--jobs", 1)
        stop_when(lambda: rounds_in(out) >= 1, signal.SIGKILL, *command)
    (damaged,) = (out / ".rounds").glob(name)
    damaged.write_text(content)
    simulate(house, "damaged", "--strategies", "random", "--jobs", 1)
    results, expected = (pd.read_csv(house / name / "results.csv") for name in ("damaged", "out"))
    pd.testing.assert_frame_equal(results, expected.query("strategy == 'random'").reset_index(drop=True))
    assert not list((out / ".rounds").glob("images-*"))

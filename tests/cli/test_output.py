"""What goes to stdout and to stderr, and that options, defaults and help agree."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dfal_cli import __version__
from dfal_cli.cli import with_options
from dfal_cli.cli.commands import COMMANDS, options_class
from dfal_cli.margins import ESTIMATORS
from dfal_cli.margins.norms import NORMS
from dfal_cli.steps.option import options_of
from tests.conftest import Ended, dfal, dfal_process, write

NOT_THE_STEPS = {"quiet", "json", "config", "preset", "version"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_step_is_an_option_of_its_command_with_the_same_default(name: str) -> None:
    parameters = {
        parameter.name: None if parameter.required else [parameter.default]
        for parameter in with_options(name).params
        if parameter.name not in NOT_THE_STEPS
    }
    fields = {}
    for field in dataclasses.fields(options_class(name)):
        made = field.default_factory is not dataclasses.MISSING
        default = field.default_factory() if made else field.default
        fields[field.name] = None if default is dataclasses.MISSING else [default]
    assert parameters == fields


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_line_checks_the_type_and_the_limits_of_an_option(name: str) -> None:
    for declared in options_of(options_class(name)):
        option = declared.option
        if option.minimum is not None:
            below = dfal(name, declared.spelling, option.minimum - 1)
            assert (below.code, declared.spelling in below.stderr) == (2, True)


@pytest.fixture
def chain(trained: Path, in_tmp: Path) -> list[tuple[str, list[object], list[str]]]:
    """The commands of a round in order: arguments, and the files that they write."""
    images = ["--images", trained / "images"]
    write(in_tmp / "answers.csv", "image,label", "030.png,dark")
    write(in_tmp / "pool.csv", *(trained / "oracle.csv").read_text().splitlines()[:13])
    labels = ["--labels", trained / "labels.csv"]
    cpu = ["--device", "cpu"]
    return [
        ("train", [*images, *labels, *cpu, "--epochs", 1, "--out", "m.safetensors"], ["m.safetensors"]),
        (
            "score",
            [*images, *labels, *cpu, "--checkpoint", trained / "model.safetensors", "--out", "s.csv"],
            ["s.csv"],
        ),
        ("predict", [*images, *labels, *cpu, "--checkpoint", "m.safetensors", "--out", "r.csv"], ["r.csv"]),
        ("select", ["--scores", "s.csv", "--count", 2, "--out", "q.csv", "--preview", "p.html"], ["q.csv", "p.html"]),
        ("merge", ["--queries", "answers.csv", "--labels", "l.csv"], ["l.csv"]),
        (
            "simulate",
            [*images, *cpu, "--labels", "pool.csv", "--test", "answers.csv", "--epochs", 1, "--initial", 4,
             "--count", 4, "--budget", 8, "--strategies", "random", "--out", "out"],
            ["out/results.csv", "out/timings.csv", "out/curves.png", "out/report.html"],
        ),
    ]  # fmt: skip


def test_stdout_carries_only_the_paths_written(chain: list[tuple[str, list[object], list[str]]]) -> None:
    for command, arguments, outputs in chain:
        ended = dfal(command, *arguments)
        assert ended.code == 0, ended.stderr
        assert ended.stdout.splitlines() == outputs
        assert all(Path(output).is_file() for output in outputs)
        assert ended.stderr


def test_json_is_one_object_with_the_documented_keys(chain: list[tuple[str, list[object], list[str]]]) -> None:
    for status in ("done", "up to date"):
        for command, arguments, outputs in chain:
            ended = dfal(command, *arguments, "--json")
            assert ended.code == 0, ended.stderr
            told = json.loads(ended.stdout)
            assert ended.stdout.count("\n") == 1
            assert list(told)[:6] == ["command", "status", "outputs", "counts", "warnings", "seconds"]
            assert (told["command"], told["status"], told["outputs"]) == (command, status, outputs)
            assert all(isinstance(count, int) for count in told["counts"].values())


def test_quiet_leaves_stderr_to_warnings(chain: list[tuple[str, list[object], list[str]]]) -> None:
    for command, arguments, outputs in chain:
        ended = dfal(command, *arguments, "--quiet")
        assert (ended.code, ended.stderr, ended.stdout.splitlines()) == (0, "", outputs)
    ended = dfal("select", "--scores", "s.csv", "--count", 999, "--out", "r.csv", "-q")
    assert ended.stderr.startswith("warning: --count 999")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_option(command: str, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    ended = dfal(command, flag)
    assert (ended.code, ended.stderr) == (0, "")
    hidden = {"grey": "--gray"}
    for field in dataclasses.fields(options_class(command)):
        assert hidden.get(field.name, f"--{field.name.replace('_', '-')}") in ended.stdout
    assert COMMANDS[command] in ended.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_cuts_no_options_name_in_a_narrow_terminal(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "…" not in dfal(command, "--help").stdout


def test_help_lists_the_commands() -> None:
    for flag in ("--help", "-h"):
        ended = dfal(flag)
        assert ended.code == 0
        assert all(command in ended.stdout for command in COMMANDS)


def test_without_arguments_the_help_is_shown_without_an_error() -> None:
    ended = dfal()
    assert "train" in ended.stdout + ended.stderr
    assert not any(line.rstrip().endswith("dfal:") for line in ended.stderr.splitlines())


def test_the_version_is_printed() -> None:
    assert dfal("--version").stdout == f"dfal {__version__}\n"


def test_the_module_is_the_same_program(in_tmp: Path) -> None:
    ended = dfal_process("--version")
    assert (ended.code, ended.stdout, ended.stderr) == (0, f"dfal {__version__}\n", "")
    ended = dfal_process("merge", "--queries", "none.csv", "--labels", "labels.csv")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == "dfal merge: none.csv: no such file (--queries)\n"


def test_help_names_every_margin_estimator_and_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for name in (*ESTIMATORS, *NORMS):
        assert re.search(rf"\b{name}\b", dfal("score", "--help").stdout)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_shows_no_type_for_flags(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = dfal(*filter(None, [command]), "--help").stdout
    assert re.search(r"--version +Show the version and exit\.", shown)
    assert re.search(r"--help +-h +Show this message and exit\.", shown)
    assert "bool" not in shown.lower()


def from_bash(option: str, **settings: Any) -> Ended:
    """The program as somebody's shell calls it: it looks which one that is."""
    shell = ["bash", "-c", f"{sys.executable} -m dfal_cli {option}; exit $?"]
    done = subprocess.run(shell, capture_output=True, text=True, check=False, **settings)
    return Ended(done.returncode, done.stdout, done.stderr)


def test_completion_completes_commands_options_and_topics(in_tmp: Path) -> None:
    def completed(typed: str) -> list[str]:
        asked = {"_DFAL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
        return dfal_process(env={**os.environ, **asked}).stdout.split()

    assert completed("dfal si") == ["simulate"]
    assert completed("dfal select --prev") == ["--preview"]
    assert completed("dfal docs mar") == ["margins"]
    installed = from_bash("--show-completion")
    assert "_DFAL_COMPLETE=complete_bash" in installed.stdout


def test_paths_are_printed_as_the_bytes_of_their_names_whatever_the_encoding_of_stdout(
    trained: Path, in_tmp: Path
) -> None:
    for encoding, out in (("ascii", "Käfer.csv"), ("latin-1", "写真.csv")):
        arguments = ["select", "--images", trained / "images", "--strategy", "random", "--count", 2, "--out", out]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run(
            [sys.executable, "-m", "dfal_cli", *map(str, arguments)], capture_output=True, check=False, env=environment
        )
        assert (done.returncode, done.stdout) == (0, os.fsencode(out) + b"\n")
        ended = dfal_process(*arguments, "--json", env=environment)
        assert ended.code == 0
        assert ended.stdout.isascii() or encoding != "ascii"
        assert ended.json["outputs"] == [out]


def test_a_change_that_stdout_cannot_encode_is_escaped(in_tmp: Path) -> None:
    write(in_tmp / "answers.csv", "image,label", "Käfer.png,écu")
    ended = dfal_process(
        "merge", "--queries", "answers.csv", "--labels", "l.csv", "--dry-run",
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    assert r"K\xe4fer.png: '' -> '\xe9cu'" in ended.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["merge", "--help"]], ids=" ".join)
def test_an_output_error_is_reported_without_a_traceback(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dfal_cli", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 75
    assert done.stderr.endswith("No space left on device; free some disk space and run the same command again\n")
    assert "Traceback" not in done.stderr


def test_a_failed_installation_of_completion_is_reported_without_a_traceback(in_tmp: Path) -> None:
    write(in_tmp / "home")
    ended = from_bash("--install-completion", env={**os.environ, "HOME": str(in_tmp / "home")})
    assert (ended.code, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr

"""train: a state that is damaged, or of another call or network, is not resumed, and it says so."""

import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import write
from tests.reliability.processes import names
from tests.reliability.test_train_resumes import DROPOUT, STATE, checkpoint, house, terminated, train

__all__ = ["house", "terminated"]


def test_the_state_of_another_call_is_not_resumed_and_is_removed_with_the_checkpoint(
    house: Path, terminated: Callable[[int], None]
) -> None:
    train("once", "--epochs", 5)
    terminated(2)
    train("out", "--epochs", 5, "--lr", 0.1, code=143)
    done = train("out", "--epochs", 5)
    assert f"{STATE}: from a training run with other options" in done.stderr
    assert checkpoint("out") == checkpoint("once")
    assert names(Path("out")) == {"m.safetensors"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("own.py", "from a training run with other options, labels, images, network"),
        ("sizes.py", "from a network with other weights"),
    ],
)
def test_a_changed_network_is_trained_from_the_beginning(
    house: Path, terminated: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, changed: str, said: str
) -> None:
    write(house / "sizes.py", "WIDTH = 64")
    write(house / "own.py", "from sizes import WIDTH", DROPOUT.replace("64", "WIDTH"))
    options = ("--arch", "own:network", "--epochs", 5)
    forget_modules(monkeypatch)
    terminated(2)
    train("out", *options, code=143)
    write(house / changed, (house / changed).read_text(), "WIDTH = 1" if changed == "sizes.py" else "# otherwise")
    forget_modules(monkeypatch)
    done = train("out", *options)
    assert said in done.stderr
    assert "resuming" not in done.stderr
    train("once", *options)
    assert checkpoint("out") == checkpoint("once")


def forget_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command is a process of its own."""
    for name in ("own", "sizes"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:500] + b"!" + content[501:],
        lambda content: b"",
        pickle.dumps,
    ],
    ids=["cut short", "a byte changed", "empty", "a pickle"],
)
def test_a_damaged_state_is_ignored(
    house: Path, terminated: Callable[[int], None], damage: Callable[[bytes], bytes]
) -> None:
    train("once", "--epochs", 5)
    terminated(2)
    train("out", "--epochs", 5, code=143)
    state = Path("out", STATE)
    state.write_bytes(damage(state.read_bytes()))
    done = train("out", "--epochs", 5)
    assert f"{STATE}: damaged; training starts from the beginning" in done.stderr
    assert checkpoint("out") == checkpoint("once")


def test_a_pipe_in_place_of_the_state_file_is_ignored(house: Path) -> None:
    Path("out").mkdir()
    os.mkfifo(Path("out", STATE))
    done = train("out", "--epochs", 2)
    assert f"{STATE}: damaged; training starts from the beginning" in done.stderr
    assert names(Path("out")) == {"m.safetensors"}

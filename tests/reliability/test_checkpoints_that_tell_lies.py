"""What a checkpoint tells of itself: refused where it cannot be true, shown so that it steers no terminal or page."""

import json
import re
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from dfal_cli.checkpoint import load_checkpoint, read_checkpoint_metadata, save_checkpoint
from dfal_cli.errors import DataError
from dfal_cli.models import build_network
from dfal_cli.system.reporting import printable
from tests.conftest import dfal, write
from tests.reliability.lying import SHAPE, with_metadata, with_told

LENET = {"name": "lenet5", "arguments": {}}


def assert_refused(path, kind=DataError):
    with pytest.raises(kind) as said:
        load_checkpoint(path)
    assert str(path) in str(said.value)
    assert len(str(said.value)) < 600
    return str(said.value)


@pytest.mark.parametrize(
    "told",
    ["", "null", "7", '"lenet5"', "[]", "{}", "{", "\0", "NaN", "[" * 100_000, '{"a":' * 100_000, "9" * 10_000],
    ids=lambda told: told[:10],
)
def test_metadata_that_are_no_table_are_refused(tmp_path, told):
    assert_refused(with_told(tmp_path / "model.safetensors", told))


NESTED = json.loads("[" * 900 + "]" * 900)


@pytest.mark.parametrize(
    "changes",
    [
        *({"classes": classes} for classes in (
            ..., None, "dark,light", [], ["dark"], ["dark", 7], ["dark", None], {"dark": 0, "light": 1}, 10**9,
            [["dark"], ["light"]], NESTED, ["dark", "light", "third"], ["dark", "dark"], ["dark", ""],
            ["dark", "  "], ["dark", "__skip__"], ["dark", "\0"], ["dark", "\ud800"],
        )),
        *({"input_shape": shape} for shape in (
            ..., None, "large", [], [1, 16], [1, 16, 16, 16], ["1", "16", "16"], [1, 16.0, 16.0], [True, 16, 16],
            [2, 16, 16], [1, 0, 16], [1, -16, -16], [1, 8, 8], [1, 32, 32], [3, 16, 16], [3, 10**6, 10**6],
            [1, 10**300, 1], [1, None, 16], [[1], [16], [16]], NESTED, {"0": 1, "1": 16, "2": 16},
        )),
        *({"architecture": architecture} for architecture in (
            ..., None, "lenet5", [], {}, {"name": None}, {"name": 5}, {"name": ["lenet5"]}, {"name": NESTED},
            LENET | {"name": "vgg8"}, LENET | {"name": "resnet18"}, LENET | {"name": "LeNet5"}, LENET | {"name": ""},
            LENET | {"name": "os.system"}, LENET | {"name": "../lenet5"}, LENET | {"name": "le\x1b[2Jnet"},
            LENET | {"name": "fasterrcnn_resnet50_fpn"}, LENET | {"name": "x" * 10**6},
        )),
        *({"contract": contract} for contract in (..., None, 0, 2, 10**9, "1", 1.0, True, [1], NESTED)),
    ],
    ids=lambda changes: str(changes)[:60],
)  # fmt: skip
def test_metadata_that_cannot_be_true_of_the_weights_are_refused(tmp_path, changes):
    assert_refused(with_metadata(tmp_path / "model.safetensors", **changes))


def test_what_metadata_tell_besides_is_not_looked_at(tmp_path):
    path = with_metadata(tmp_path / "model.safetensors", metrics=NESTED, counts=None, further={"a": [1]}, seed="x")
    assert load_checkpoint(path).classes == ("dark", "light")


@pytest.mark.parametrize("further", [{}, {"counts": 7, "metrics": []}, {"made_from": None}], ids=str)
def test_an_output_that_tells_no_results_is_not_taken_for_up_to_date(trained, in_tmp, further):
    told = read_checkpoint_metadata(trained / "model.safetensors")
    with_metadata(in_tmp / "out.safetensors", **({"made_from": told["made_from"]} | further))
    before = (in_tmp / "out.safetensors").read_bytes()
    ended = dfal("train", "--images", trained / "images", "--labels", trained / "labels.csv", "--epochs", 15,
                 "--out", "out.safetensors", "--device", "cpu")  # fmt: skip
    assert ended.code == 2, ended.stderr
    assert "--force" in ended.stderr
    assert (in_tmp / "out.safetensors").read_bytes() == before


CODE = ("trap:build", "os:system", "os.path:join", "trap.deeper:build.it", "builtins:exec", ":", "trap:")


@pytest.mark.parametrize("option", ["--checkpoint", "--init"])
def test_a_checkpoint_that_names_code_runs_none_of_it_without_the_users_word(trained, in_tmp, option):
    write(in_tmp / "trap.py", "open('trace', 'w')")
    common = ("--images", trained / "images", "--labels", trained / "labels.csv", option, "named.safetensors")
    command = ("score", "--out", "scores.parquet") if option == "--checkpoint" else ("train", "--out", "m.safetensors")
    for name in CODE:
        with_metadata(in_tmp / "named.safetensors", architecture={"name": name, "arguments": {}})
        ended = dfal(*command, *common)
        assert ended.code == 2, ended.stderr
        assert ended.stderr.splitlines()[-1].endswith(f"--trust-code or --arch {name}")
    assert not (in_tmp / "trace").exists()
    assert "trap" not in sys.modules
    trusted = dfal(*command, *common[:-1], with_metadata(in_tmp / "t.safetensors", architecture={"name": "trap:build"}),
                   "--trust-code")  # fmt: skip
    assert trusted.code == 2
    assert (in_tmp / "trace").exists()  # the trap works
    del sys.modules["trap"]


def test_modules_in_the_working_directory_stand_in_for_no_library(trained, in_tmp):
    for library in ("torchvision", "safetensors", "lenet5", "pandas", "json"):
        write(in_tmp / f"{library}.py", "open('trace', 'w')")
    program = "import dfal_cli.cli; dfal_cli.cli.main()"
    done = subprocess.run(  # as the console script does: the working directory is not on the path
        [sys.executable, "-P", "-c", program, "score", "--images", trained / "images", "--checkpoint",
         trained / "model.safetensors", "--out", "scores.parquet", "--device", "cpu"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (in_tmp / "trace").exists()


SPOOFING = ("a\x1b[2Jb", "line\none", "right\u202eleft", "c1\x9b31m", "sep\u2028arated")
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def spoofing(trained, in_tmp):
    """A checkpoint whose classes would steer a terminal; it is a valid one."""
    model = build_network("lenet5", len(SPOOFING), SHAPE)
    save_checkpoint(in_tmp / "spoof.safetensors", model, architecture="lenet5", classes=SPOOFING, input_shape=SHAPE,
                    extra_metadata={})  # fmt: skip
    return trained


def test_class_names_steer_no_terminal(spoofing, in_tmp):
    ended = dfal("train", "--images", spoofing / "images", "--labels", spoofing / "labels.csv", "--epochs", 1,
                 "--init", "spoof.safetensors", "--out", "m.safetensors", "--device", "cpu")  # fmt: skip
    assert ended.code == 0, ended.stderr
    assert r"a\x1b[2Jb, line\none, right\u202eleft, c1\x9b31m, sep\u2028arated" in ended.stderr
    assert not STEERS.search(ended.stderr)


def test_class_names_steer_no_page_and_come_out_of_the_tables_as_they_are(spoofing, in_tmp):
    scored = dfal("score", "--images", spoofing / "images", "--checkpoint", "spoof.safetensors", "--out",
                  "scores.parquet", "--device", "cpu")  # fmt: skip
    assert scored.code == 0, scored.stderr
    assert not STEERS.search(scored.stderr)
    predicted = set(pq.read_table("scores.parquet")["predicted"].to_pylist())
    assert predicted <= set(SPOOFING)
    ended = dfal("select", "--scores", "scores.parquet", "--count", 9, "--out", "q.csv", "--strategy", "entropy",
                 "--preview", "q.html", "--with-predictions")  # fmt: skip
    assert ended.code == 0, ended.stderr
    page = (in_tmp / "q.html").read_text(encoding="utf-8")
    assert any(printable(name) in page for name in predicted)
    assert not STEERS.search(page)


@pytest.mark.parametrize("names", ["dark,light,", "dark,light,__skip__", "dark, ,light"])
def test_training_makes_no_checkpoint_that_would_be_refused(trained, in_tmp, names):
    ended = dfal("train", "--images", trained / "images", "--labels", trained / "labels.csv", "--class-names", names,
                 "--out", "m.safetensors")  # fmt: skip
    assert ended.code == 2
    assert "--class-names: a class is called" in ended.stderr
    assert not (in_tmp / "m.safetensors").exists()

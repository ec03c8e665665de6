"""Checkpoints that are damaged, or other files: said in one line, at once, without running code."""

import io
import os
import pickle
import socket

import pytest
import torch
from safetensors.torch import save

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.errors import DataError
from tests.conftest import dfal, dfal_process
from tests.reliability.lying import honest, put_together, taken_apart, trapped

OPTIONS = ("--checkpoint", "--init", "--weights")


def run(command, root, option, path, **settings):
    """The command that reads `path` as `option`."""
    common = ("--images", root / "images", "--labels", root / "labels.csv", "--device", "cpu", option, path)
    if option == "--checkpoint":
        return command("score", "--out", "scores.parquet", *common, **settings)
    return command("train", "--out", "out.safetensors", "--epochs", 1, *common, **settings)


def assert_refused(ended, code, *said):
    assert ended.code == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) <= 2 + ended.stderr.count("input: ") + ended.stderr.count("network: ")
    for text in said:
        assert text in ended.stderr
    assert ended.stdout == ""


def assert_damaged(path):
    with pytest.raises(DataError) as said:
        load_checkpoint(path)
    assert str(path) in str(said.value)
    assert "\n" not in str(said.value)
    assert len(str(said.value)) < 600
    return str(said.value)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("how", ["pickle", "zip", "old"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_that_would_run_code_is_refused_and_runs_none(trained, in_tmp, option, how, suffix):
    path = trapped(in_tmp / f"trap{suffix}", in_tmp / "trace", how)
    assert_refused(run(dfal, trained, option, path), 3, f"trap{suffix}: not a")
    assert not (in_tmp / "trace").exists()
    content = path.read_bytes()
    pickle.loads(content) if how == "pickle" else torch.load(io.BytesIO(content), weights_only=False)  # the trap works
    assert (in_tmp / "trace").exists()


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "socket", "absent"])
def test_what_is_no_file_is_refused_at_once(trained, in_tmp, option, kind):
    path = in_tmp / "model.safetensors"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("model.safetensors")
    assert_refused(run(dfal, trained, option, path), 2, "model.safetensors: ", option)


def test_a_pipe_does_not_hang_a_command(trained, in_tmp):
    os.mkfifo(in_tmp / "model.safetensors")
    assert_refused(run(dfal_process, trained, "--checkpoint", "model.safetensors", timeout=120), 2, "is a pipe")


def test_a_checkpoint_cut_off_anywhere_is_refused(tmp_path):
    whole = honest(tmp_path / "whole.safetensors").read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for keep in (0, 1, 7, 8, 9, 100, header - 1, header, header + 1, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.safetensors").write_bytes(whole[:keep])
        assert_damaged(tmp_path / "cut.safetensors")


def test_bytes_behind_the_end_are_refused(tmp_path):
    path = honest(tmp_path / "model.safetensors")
    path.write_bytes(path.read_bytes() + b"more")
    assert_damaged(path)


@pytest.mark.parametrize("length", [2**60, 2**64 - 1, 2**31, 10**8, 0])
def test_a_header_of_a_length_it_cannot_have_is_refused(tmp_path, length):
    path = honest(tmp_path / "model.safetensors")
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    assert_damaged(path)


HEADERS = {
    "not JSON": b"{never",
    "not text": b"\xff\xfe\x00",
    "a list": [1, 2],
    "brackets without end": b"[" * 100_000,
    "braces without end": b'{"a":' * 100_000,
    "metadata without end": b'{"__metadata__":' + b"[" * 100_000,
    "metadata no table": {"__metadata__": [1]},
    "tensors no tables": {"weight": 7},
    "shapes of text": {"weight": {"dtype": "F32", "shape": ["a"], "data_offsets": [0, 4]}},
    "an unknown type": {"weight": {"dtype": "F1024", "shape": [1], "data_offsets": [0, 4]}},
    "a huge number": b'{"weight": {"dtype": "F32", "shape": [' + b"9" * 100_000 + b"]}}",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_that_is_no_table_of_tensors_is_refused(tmp_path, header):
    assert_damaged(put_together(tmp_path / "model.safetensors", header, bytes(64)))


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2**40]}, {"shape": [-1]}, {"shape": [2**62, 2**62]}, {"shape": []}, {"shape": [True]},
        {"data_offsets": [0, 2**40]}, {"data_offsets": [2**63, 2**63 + 4]}, {"data_offsets": [8, 4]},
        {"data_offsets": [-4, 0]}, {"data_offsets": None}, {"dtype": "F16"}, {"dtype": "BF16"}, {"dtype": "F64"},
        {"dtype": "I8"}, {"dtype": 32},
    ],
    ids=str,
)  # fmt: skip
def test_a_tensor_that_is_not_what_the_network_wants_is_refused(tmp_path, change):
    header, data = taken_apart(honest(tmp_path / "model.safetensors"))
    header["0.bias"] |= change
    assert_damaged(put_together(tmp_path / "model.safetensors", header, data))


def test_tensors_that_share_their_bytes_are_refused(tmp_path):
    header, data = taken_apart(honest(tmp_path / "model.safetensors"))
    header["14.bias"]["data_offsets"] = header["12.bias"]["data_offsets"]
    assert_damaged(put_together(tmp_path / "model.safetensors", header, data))


@pytest.mark.parametrize("change", ["one is missing", "one is too many", "one is called otherwise"])
def test_other_tensors_than_the_networks_are_refused_and_named(tmp_path, change):
    header, data = taken_apart(honest(tmp_path / "model.safetensors"))
    bias = header["0.bias"] if change == "one is too many" else header.pop("0.bias")
    if change != "one is missing":
        header["0.slope"] = bias
    said = assert_damaged(put_together(tmp_path / "model.safetensors", header, data))
    assert "do not match its network lenet5" in said
    assert "0.bias is missing" in said or "0.slope is unexpected" in said


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused_at_once(trained, in_tmp, option, value):
    header, data = taken_apart(trained / "model.safetensors")
    start, end = header["0.bias"]["data_offsets"]
    data = data[:start] + torch.full(((end - start) // 4,), value).numpy().tobytes() + data[end:]
    path = put_together(in_tmp / "model.safetensors", header, data)
    assert_refused(run(dfal, trained, option, path), 3, "some weights are not finite (0.bias)")


def test_weights_of_others_in_the_same_format_are_no_checkpoint(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(save({"weight": torch.ones(2)}))
    assert "create one with `dfal train`" in assert_damaged(tmp_path / "model.safetensors")


def test_a_checkpoint_that_is_replaced_while_it_is_used_changes_no_score(trained, in_tmp):
    loaded = load_checkpoint(honest(in_tmp / "model.safetensors"))
    before = loaded.model(torch.zeros(1, 1, 16, 16))
    (in_tmp / "model.safetensors").write_bytes(b"")  # in place: it would show in a mapped file
    assert torch.equal(loaded.model(torch.zeros(1, 1, 16, 16)), before)
    (in_tmp / "model.safetensors").unlink()
    assert len(loaded.sha256) == 64

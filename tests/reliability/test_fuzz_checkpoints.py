"""Whatever bytes a checkpoint consists of: it loads, or is refused in two lines at most."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfal_cli.checkpoint import load_checkpoint, read_checkpoint_metadata
from dfal_cli.errors import DfalError
from dfal_cli.models.weights import read_weights
from tests.reliability.lying import honest, taken_apart, trapped


def settled(examples):
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


BYTES = st.binary(max_size=200)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["lenet5", "resnet18", "F32", "dark", "dfal", 2**63, 10**30]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(max_size=8) | st.sampled_from(["name", "dtype", "shape", "data_offsets"]), inner, max_size=4
    ),
    max_leaves=8,
)  # fmt: skip


@st.composite
def mutated(draw, whole):
    """A file with some bytes changed, put in or left out; most often in its header."""
    content = bytearray(whole)
    header = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, min(header, len(content))) | st.integers(0, len(content)))
        content[start : start + draw(st.integers(0, 6))] = draw(st.binary(max_size=6))
    return bytes(content)


@st.composite
def retold(draw, header):
    """A header that says something else in one place, in the metadata or of a tensor."""
    header = json.loads(json.dumps(header))
    told = json.loads(header["__metadata__"]["dfal"])
    place = draw(st.sampled_from(["told", "tensor", "header"]))
    if place == "told":
        told[draw(st.sampled_from(sorted(told)))] = draw(JSON)
        header["__metadata__"]["dfal"] = json.dumps(told)
    elif place == "tensor":
        tensor = draw(st.sampled_from(sorted(header.keys() - {"__metadata__"})))
        header[tensor][draw(st.sampled_from(["dtype", "shape", "data_offsets"]))] = draw(JSON)
    else:
        header[draw(st.sampled_from(sorted(header)) | st.text(max_size=5))] = draw(JSON)
    return json.dumps(header).encode()


def read_anyhow(read, path, content):
    """Read it; whatever is said of it, is said in two lines at most."""
    path.write_bytes(content)
    try:
        read(path)
    except DfalError as error:
        assert str(path) in str(error)
        assert str(error).count("\n") <= 1
        assert len(str(error)) < 1000


def whole_file(folder: Path) -> bytes:
    return honest(folder / "honest.safetensors").read_bytes()


def check_any_bytes(folder, examples):
    @settled(examples)
    @given(BYTES, st.booleans())
    def check(content, with_length):
        framed = len(content).to_bytes(8, "little") + content if with_length else content
        for read in (load_checkpoint, read_checkpoint_metadata, read_weights):
            read_anyhow(read, folder / "model.safetensors", framed)
        read_anyhow(read_weights, folder / "weights.pth", content)

    check()


def check_mutated(folder, examples):
    @settled(examples)
    @given(mutated(whole_file(folder)))
    def check(content):
        for read in (load_checkpoint, read_checkpoint_metadata, read_weights):
            read_anyhow(read, folder / "model.safetensors", content)

    check()


def check_retold(folder, examples):
    header, data = taken_apart(honest(folder / "honest.safetensors"))

    @settled(examples)
    @given(retold(header))
    def check(written):
        content = len(written).to_bytes(8, "little") + written + data
        for read in (load_checkpoint, read_checkpoint_metadata, read_weights):
            read_anyhow(read, folder / "model.safetensors", content)

    check()


def check_state_dicts(folder, examples):
    """Of the two forms that torch.save writes, with a trap inside that must not be sprung."""
    for how in ("zip", "old"):
        whole = trapped(folder / "whole.pth", folder / "trace", how).read_bytes()

        @settled(examples)
        @given(mutated(whole))
        def check(content):
            read_anyhow(read_weights, folder / "weights.pth", content)

        check()
    assert not (folder / "trace").exists()


CHECKS = (check_any_bytes, check_mutated, check_retold, check_state_dicts)


@pytest.mark.parametrize("check", CHECKS)
def test_whatever_a_checkpoint_consists_of_it_loads_or_is_refused_in_two_lines(tmp_path, check):
    check(tmp_path, 150)


@pytest.mark.long
@pytest.mark.parametrize("check", CHECKS)
def test_the_same_of_ten_thousand_checkpoints(tmp_path, check):
    check(tmp_path, 10_000)

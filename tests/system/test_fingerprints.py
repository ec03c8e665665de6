"""What tells whether a file, or what an output is made from, is still the one it was."""

import os
from pathlib import Path

from dfal_cli.system.fingerprints import canonical_json, file_state, fingerprint, sha256_of


def test_fingerprints_differ_exactly_if_their_inputs_differ() -> None:
    values = [
        {},
        {"a": 1},
        {"a": "1"},
        {"a": None},
        {"a": 1.0, "b": 2},
        ["a", "b"],
        ["ab"],
        "ab",
        Path("a/b"),
        0.1,
        True,
    ]
    prints = [fingerprint(value) for value in values]
    assert len(set(prints)) == len(values)
    assert prints == [fingerprint(value) for value in values]
    assert fingerprint("a", "b") != fingerprint("ab") != fingerprint(["a", "b"])
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(("a",)) == fingerprint(["a"])


def test_canonical_json_is_one_text_for_equal_values() -> None:
    value = {"b": ("é", Path("x/y")), "a": None}
    assert canonical_json(value) == '{"a":null,"b":["é","x/y"]}'


def test_a_files_sha256_is_that_of_its_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_changed_file_is_seen_by_its_state(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    before = file_state(str(tmp_path / "a"))
    os.utime(tmp_path / "a", ns=(0, 5))
    touched = file_state(str(tmp_path / "a"))
    assert touched is not None and touched[:2] == (3, 5)
    assert touched != before
    (tmp_path / "b").write_bytes(b"xyz")
    os.utime(tmp_path / "b", ns=(0, 5))
    (tmp_path / "b").replace(tmp_path / "a")
    replaced = file_state(str(tmp_path / "a"))
    assert replaced is not None and replaced[:2] == (3, 5)
    assert replaced != touched

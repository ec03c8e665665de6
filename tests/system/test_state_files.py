"""What dfal keeps for itself: whatever has become of a file, reading it ends, and says whether it is whole."""

import os
from pathlib import Path

import pytest

from dfal_cli.system.state_files import is_whole, read_checked, read_json, write_checked, write_json


@pytest.mark.parametrize("content", [b"", b"content", bytes(100_000)])
def test_written_content_is_read_back(tmp_path: Path, content: bytes) -> None:
    write_checked(tmp_path / "kept", content)
    assert read_checked(tmp_path / "kept") == content
    assert is_whole(tmp_path / "kept")


@pytest.mark.parametrize("place", [0, 31, 32, -1])
def test_one_wrong_bit_is_noticed(tmp_path: Path, place: int) -> None:
    write_checked(tmp_path / "kept", b"content")
    stored = bytearray((tmp_path / "kept").read_bytes())
    stored[place] ^= 1
    (tmp_path / "kept").write_bytes(stored)
    assert read_checked(tmp_path / "kept") is None
    assert not is_whole(tmp_path / "kept")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_invalid_json_is_treated_as_missing(tmp_path: Path, content: bytes) -> None:
    write_json(tmp_path / "kept", {"rounds": [1, 2]})
    assert read_json(tmp_path / "kept") == {"rounds": [1, 2]}
    (tmp_path / "kept").write_bytes(content)
    assert read_json(tmp_path / "kept") is None


def test_pipes_and_folders_are_treated_as_missing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "missing"):
        assert read_checked(tmp_path / name) is None
        assert not is_whole(tmp_path / name)
        assert read_json(tmp_path / name) is None

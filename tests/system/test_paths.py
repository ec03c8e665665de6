"""What is refused of options that name files and folders."""

from pathlib import Path

import pytest

from dfal_cli.errors import UsageError
from dfal_cli.system.paths import must_end_with, must_exist


def test_a_missing_path_or_one_of_the_wrong_kind_is_named_with_its_option(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("")
    assert must_exist(tmp_path / "file.csv", "--labels") == tmp_path / "file.csv"
    assert must_exist(tmp_path, "--images", folder=True) == tmp_path
    for path, folder, reason in (
        ("none", False, "none: no such file"),
        ("none", True, "none: no such folder"),
        (".", False, "is a folder, not a file"),
        ("file.csv", True, "is not a folder"),
    ):
        with pytest.raises(UsageError, match=rf"{reason} \(--option\)"):
            must_exist(tmp_path / path, "--option", folder=folder)


def test_a_wrong_suffix_is_refused_naming_the_right_ones() -> None:
    assert must_end_with(Path("a.CSV"), (".csv",), "--out") == Path("a.CSV")
    with pytest.raises(UsageError, match=r"a\.txt: --out must end in \.parquet or \.csv"):
        must_end_with(Path("a.txt"), (".parquet", ".csv"), "--out")

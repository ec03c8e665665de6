"""Paths within files lead from where the file really is."""

from pathlib import Path

import pytest

from dfal_cli.system.paths import folder_of, relative_to_file


@pytest.mark.parametrize(
    ("target", "file", "relative"),
    [("t/a.npy", "l.csv", "t/a.npy"), ("t/a.npy", "x/y/l.csv", "../../t/a.npy"), ("x/a.npy", "x/l.csv", "a.npy")],
)
def test_paths_are_written_relative_to_the_file_that_contains_them(
    in_tmp: Path, target: str, file: str, relative: str
) -> None:
    assert relative_to_file(Path(target), Path(file)) == relative
    assert relative_to_file(in_tmp / target, Path(file)) == relative


def test_links_do_not_change_the_target_of_a_relative_path(in_tmp: Path) -> None:
    Path("real/deep/lab").mkdir(parents=True)
    Path("scores.twins").mkdir()
    twin = Path("scores.twins/a.npy")
    twin.touch()
    Path("lab").symlink_to("real/deep/lab")
    Path("twins").symlink_to("scores.twins")
    Path("link.csv").symlink_to("lab/labels.csv")
    for written in (Path("lab/labels.csv"), Path("link.csv")):
        for read in (Path("lab/labels.csv"), Path("link.csv"), Path("real/deep/lab/labels.csv")):
            relative = relative_to_file(Path("twins/a.npy"), written)
            assert (folder_of(read) / relative).samefile(twin)

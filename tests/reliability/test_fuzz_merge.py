"""Merge against a plain dict: whatever lists are merged in whatever order, it holds what the dict holds."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfal_cli.errors import DataError
from dfal_cli.steps.merge.command import merge
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.system.reporting import Silent
from dfal_cli.tables import read_labels, write_rows
from tests.reliability.fuzzing import few, many

IMAGES = ("a.png", "=b.png", "-c/d.png", "'e.png", "f,g.png", "h\ni.png", "j k", "é/犬.png")
CLASSES = ("cat", "Cat", "'cat", "=1", "'=1", "007", "NA", "a,b", "c\r\nd")
BLANKS = ("", "", " ")

answers = st.dictionaries(st.sampled_from(IMAGES), st.sampled_from((*CLASSES, "__skip__", *BLANKS)))
lists = st.lists(st.tuples(answers, st.sampled_from(("error", "keep", "replace"))), min_size=1, max_size=6)


def merged_into(known: dict[str, str], asked: dict[str, str], on_conflict: str) -> dict[str, str] | None:
    """What labels.csv is to say after a merge; None if the merge is to be refused."""
    said = {image: label for image, label in asked.items() if label.strip()}
    conflicts = {image for image in said if known.get(image, "").strip() and known[image] != said[image]}
    if conflicts and on_conflict == "error":
        return None
    kept = conflicts if on_conflict == "keep" else set()
    return known | {image: label for image, label in said.items() if image not in kept}


@pytest.mark.parametrize("size", [few(40), many(10_000)])
def test_no_sequence_of_merges_loses_or_changes_a_label_or_a_users_cell(tmp_path: Path, size: settings) -> None:
    labels, queries = tmp_path / "labels.csv", tmp_path / "q.csv"

    @size
    @given(start=answers, lists=lists, note=st.sampled_from(("", "=1", "x\ny", '"', "'")))
    def check(start: dict[str, str], lists: list[tuple[dict[str, str], str]], note: str) -> None:
        rows = [(note, image, label, str(place)) for place, (image, label) in enumerate(start.items())]
        write_rows(labels, ("note", "image", "label", "mine"), rows)
        known = start
        for asked, on_conflict in lists:
            write_rows(queries, ("rank", "label", "image", "note"), [("1", y, x, "theirs") for x, y in asked.items()])
            known = merged_or_refused(labels, queries, known, asked, on_conflict)
            assert_holds(read_labels(labels), known, start, note)

    check()


def merged_or_refused(
    labels: Path, queries: Path, known: dict[str, str], asked: dict[str, str], on_conflict: str
) -> dict[str, str]:
    """Merge; what labels.csv is to say then. A refused merge changes no byte."""
    before = labels.read_bytes()
    options = MergeOptions(queries=queries, labels=labels, class_names=CLASSES, on_conflict=on_conflict)
    expected = merged_into(known, asked, on_conflict)
    if expected is None:
        with pytest.raises(DataError, match="nothing was merged"):
            merge(options, Silent())
        assert labels.read_bytes() == before
        return known
    merge(options, Silent())
    after = labels.read_bytes()
    assert merge(options, Silent()).counts["merged"] == 0
    assert labels.read_bytes() == after
    return expected


def assert_holds(table: pd.DataFrame, known: dict[str, str], start: dict[str, str], note: str) -> None:
    assert dict(zip(table["image"], table["label"], strict=True)) == known
    mine = table[["image", "note", "mine"]].values.tolist()
    assert mine[: len(start)] == [[image, note, str(place)] for place, image in enumerate(start)]
    assert all(row[1:] == ["", ""] for row in mine[len(start) :])

"""Columns of image names: whether they are in order, and which names are in them."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfal_cli.tables.name_columns import by_path, in_order, membership

NAMES = st.lists(st.text("aÄ𝄞\uffff/.", max_size=4), max_size=300)


def column(names: list[str]) -> "pd.Series[str]":
    """The names as pieces of a table, which Arrow keeps apart."""
    pieces = [names[:1], names[1:200], names[200:]]
    return pd.concat([pd.Series(piece, dtype=str) for piece in pieces], ignore_index=True)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(names=NAMES, others=NAMES, is_sorted=st.booleans())
def test_names_are_found_as_in_a_set(names: list[str], others: list[str], is_sorted: bool) -> None:
    names = sorted(set(names)) if is_sorted else names
    found = membership(column(names))
    assert [name in found for name in (*names, *others)] == [True] * len(names) + [name in names for name in others]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(names=NAMES)
def test_names_are_in_order_if_each_comes_before_the_next(names: list[str]) -> None:
    assert in_order(column(sorted(set(names))))
    assert in_order(column(names)) == (names == sorted(set(names)))


@pytest.mark.parametrize("names", [["a", "b", "c"], ["b", "a", "b", "Ä"], []])
def test_a_table_by_path_keeps_equal_names_in_their_order(names: list[str]) -> None:
    table = pd.DataFrame({"image": pd.Series(names, dtype=str), "row": range(len(names))})
    table.index += 5
    order = sorted(range(len(names)), key=names.__getitem__)
    found = by_path(table, "image")
    assert found["row"].tolist() == order
    assert found.index.tolist() == list(range(len(names)))

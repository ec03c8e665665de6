"""Which names of classes are alike, and which are seldom meant as one."""

import pytest

from dfal_cli.tables.class_names import means_no_answer, normalised, similar_class_pairs


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat", "Cat"), ("big cat", " big\u00a0 cat "), ("caf\u00e9", "cafe\u0301"), ("\uff21", "a"),
        ("1", "1.0"), ("1", "01"), ("1", "1,0"), ("1", "+1"), ("0", "00.0"), ("0.5", "0,50"), ("-3", "-03."),
        ("1.1", "1.10"), ("1,000", "1000"), ("-12,345,678.50", "-12345678.5"),
    ],
)  # fmt: skip
def test_spellings_of_one_class_are_normalised_to_the_same_name(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat", "cats"), ("1", "10"), ("1", "-1"), ("0.5", "5"), ("1.0.0", "1"), ("a1", "a01"),
        ("12345678901234567", "12345678901234568"), ("1,000", "1"), ("0,500", "500"),
    ],
)  # fmt: skip
def test_different_classes_keep_different_normalised_names(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_a_number_of_a_million_digits_is_normalised_quickly() -> None:
    assert normalised("1." + "0" * 1_000_000) == "1"


@pytest.mark.parametrize("label", ["?", "Unknown", " skip ", "N/A", "NA", "none", "todo", "TBD", "Not sure", "-"])
def test_words_for_no_answer_are_known_in_any_case(label: str) -> None:
    assert means_no_answer(label)


@pytest.mark.parametrize("label", ["x", "0", "nano", "unknown bird", "no"])
def test_ordinary_words_do_not_mean_no_answer(label: str) -> None:
    assert not means_no_answer(label)


def test_a_pair_of_names_that_differ_by_a_letter_is_listed_once() -> None:
    assert similar_class_pairs(["aeroplane", "areoplane", "zebra"], ["zebras"]) == [
        ("aeroplane", "areoplane"), ("zebra", "zebras"),
    ]  # fmt: skip

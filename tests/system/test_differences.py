"""What has changed since an output was made is said as it stands on the command line."""

import json
from typing import Any

import pytest

from dfal_cli.system.differences import UNKNOWN, describe_changes, differences, provenance
from dfal_cli.system.fingerprints import digest_of_many

NESTED = json.loads("[" * 900 + "]" * 900)
CHANGE_TEXTS = {"torch": "with torch {0}, not {1}", "code": "with other code"}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"norm": "l2"}, {"norm": "linf"}, "with --norm l2, not linf"),
        ({"max_iterations": 50}, {"max_iterations": 5}, "with --max-iterations 50, not 5"),
        ({"overshoot": 0.02}, {"overshoot": 0.0}, "with --overshoot 0.02, not 0.0"),
        ({"seed": 0}, {"seed": 7}, "with --seed 0, not 7"),
        ({"nearest": None}, {"nearest": 0}, "without --nearest 0"),
        ({"clip": False}, {"clip": True}, "without --clip"),
        ({"clip": True}, {"clip": False}, "with --clip, not without"),
        ({"classes": None}, {"classes": 3}, "without --classes 3"),
        ({}, {"classes": 3}, "without --classes 3"),
        ({"grey": True}, {"grey": False}, "with --gray, not --color"),
        ({"measure": ["bald", "egl"]}, {"measure": []}, "with --measure bald --measure egl, not without"),
        ({"measure": ["bald"]}, {"measure": ["egl"]}, "with --measure bald, not egl"),
    ],
)
def test_an_option_is_spelt_as_on_the_command_line(before: dict[str, Any], now: dict[str, Any], said: str) -> None:
    assert list(differences({"settings": before}, {"settings": now}, {})) == [said]


def test_changed_parts_are_described_by_their_texts() -> None:
    before = {"settings": {}, "torch": "2.9", "code": "a"}
    assert list(differences(before, {**before, "torch": "2.10", "code": "b"}, CHANGE_TEXTS)) == [
        "with torch 2.9, not 2.10", "with other code",
    ]  # fmt: skip
    assert list(differences({"code": "a"}, before, CHANGE_TEXTS)) == ["with torch another, not 2.9"]


@pytest.mark.parametrize("nothing", ["", None, [], digest_of_many([])])
def test_a_part_whose_option_was_not_given_is_described_like_an_option(nothing: Any) -> None:
    texts = {"pseudo_labels": "with other --pseudo-labels"}
    given, not_given = ({"settings": {}, "pseudo_labels": value} for value in ("a", nothing))
    assert list(differences(not_given, given, texts)) == ["without --pseudo-labels"]
    assert list(differences(given, not_given, texts)) == ["with --pseudo-labels, not without"]
    assert list(differences(given, given | {"pseudo_labels": "b"}, texts)) == ["with other --pseudo-labels"]


def test_of_many_differences_three_are_described_and_the_others_counted() -> None:
    before, now = ({"settings": dict.fromkeys("abcde", value)} for value in (1, 2))
    assert describe_changes(provenance(before), now, {}) == (
        "with --a 1, not 2 and with --b 1, not 2 and with --c 1, not 2 and 2 more"
    )
    three, others = ({"settings": dict.fromkeys("abc", value)} for value in (1, 2))
    assert describe_changes(provenance(three), others, {}).endswith("and with --c 1, not 2")


def test_unchanged_options_and_parts_are_not_described() -> None:
    assert not list(differences({"settings": {}}, {"settings": {"clip": False, "measure": []}}, {}))
    settings = {"settings": {"measure": ["bald"], "norm": "l2"}, "torch": "2.9", "code": "a"}
    assert not list(differences(settings, {**settings, "settings": {"measure": ("bald",), "norm": "l2"}}, CHANGE_TEXTS))


def test_metadata_show_what_was_different() -> None:
    made_from = {"settings": {"norm": "l2", "seed": 1}, "torch": "2.9", "code": "a"}
    now = {"settings": {"norm": "linf", "seed": 1}, "torch": "2.10", "code": "a"}
    assert (
        describe_changes(provenance(made_from), now, CHANGE_TEXTS)
        == "with torch 2.9, not 2.10 and with --norm l2, not linf"
    )


@pytest.mark.parametrize("key", ["settings", "parts"])
@pytest.mark.parametrize(
    "value", [None, 1, "x", [], NESTED, {"norm": NESTED, "torch": NESTED}, {"torch": "x" * 10_000}]
)
def test_missing_or_arbitrary_metadata_do_no_harm(key: str, value: Any) -> None:
    made_from = {"settings": {"norm": "l2"}, "torch": "2.9", "code": "a"}
    assert len(describe_changes(provenance(made_from) | {key: value}, made_from, CHANGE_TEXTS)) <= 500
    assert describe_changes({}, made_from, CHANGE_TEXTS) == UNKNOWN

"""What has changed since an output was made is said as it stands on the command line."""

import json
from typing import Any

import pytest

from dfal_cli.system.differences import UNKNOWN, describe_changes, differences, provenance

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


def test_unchanged_options_and_parts_are_not_described() -> None:
    assert not list(differences({"settings": {}}, {"settings": {"clip": False, "measure": []}}, {}))
    settings = {"settings": {"measure": ["bald"], "norm": "l2"}, "torch": "2.9", "code": "a"}
    assert not list(differences(settings, {**settings, "settings": {"measure": ("bald",), "norm": "l2"}}, CHANGE_TEXTS))


def test_metadata_show_what_was_different() -> None:
    made_from = {"settings": {"norm": "l2", "seed": 1}, "torch": "2.9", "code": "a"}
    now = {"settings": {"norm": "linf", "seed": 1}, "torch": "2.10", "code": "a"}
    assert (
        describe_changes(provenance(made_from), now, CHANGE_TEXTS)
        == "with --norm l2, not linf and with torch 2.9, not 2.10"
    )


@pytest.mark.parametrize("key", ["settings", "parts"])
@pytest.mark.parametrize(
    "value", [None, 1, "x", [], NESTED, {"norm": NESTED, "torch": NESTED}, {"torch": "x" * 10_000}]
)
def test_missing_or_arbitrary_metadata_do_no_harm(key: str, value: Any) -> None:
    made_from = {"settings": {"norm": "l2"}, "torch": "2.9", "code": "a"}
    assert len(describe_changes(provenance(made_from) | {key: value}, made_from, CHANGE_TEXTS)) <= 500
    assert describe_changes({}, made_from, CHANGE_TEXTS) == UNKNOWN

"""merge: people who answered differently in a labelling tool, and the rules that settle it."""

from pathlib import Path

import pytest

from tests.conftest import write
from tests.steps.tool_answers import LABELS, answers, house, labels, merge

__all__ = ["house"]

DIFFERING: dict[str, tuple[list[tuple[str, ...]], dict[str, str]]] = {
    "newest": ([("a/0.png", "circle", "square"), ("a/1.png", "square")], {"a/0.png": "square", "a/1.png": "square"}),
    "majority": ([("a/0.png", "circle", "square", "circle")], {"a/0.png": "circle"}),
}


@pytest.mark.parametrize("rule", DIFFERING)
def test_people_who_differ_are_a_conflict_that_a_rule_settles(rule: str, house: Path) -> None:
    given, expected = DIFFERING[rule]
    file = answers("ls.json", *given)
    refused = merge("--answers", file)
    assert (refused.code, LABELS.exists()) == (3, False)
    assert "ls.json, task 1: image 'a/0.png' is 'circle' here and 'square' in ls.json, task 1" in refused.stderr
    assert "--on-conflict newest` or `majority" in refused.stderr
    ended = merge("--answers", file, "--on-conflict", rule, "--json")
    assert labels() == expected
    assert ended.json["warnings"] == [f"1 image has different answers; the {rule} counts (--on-conflict)"]


@pytest.mark.parametrize(
    ("rule", "file"),
    [("majority", "Label Studio"), ("newest", "CVAT")],
    ids=["a draw has no majority", "a file without times has no newest answer"],
)
def test_a_rule_that_does_not_settle_it_is_told(rule: str, file: str, house: Path) -> None:
    path = answers("ls.json", ("a/0.png", "circle", "square"), ("a/1.png", "circle", "square"))
    if file == "CVAT":
        jobs = [f'<image id="{n}" name="a/{n}.png"><tag label="{label}"/></image>'
                for label in ("circle", "square") for n in (0, 1)]  # fmt: skip
        path = write(house / "cvat.xml", f"<annotations>{''.join(jobs)}</annotations>")
    ended = merge("--answers", path, "--on-conflict", rule)
    assert (ended.code, LABELS.exists()) == (3, False)
    assert f"(1 more image like this); {rule} does not settle it" in ended.stderr


def test_two_files_of_two_people_are_compared(house: Path) -> None:
    files = [answers(f"{name}.json", ("a/0.png", label), when=when)
             for name, label, when in (("anna", "circle", "2026-01-02"), ("ben", "square", "2026-01-01"))]  # fmt: skip
    both = [part for file in files for part in ("--answers", file)]
    ended = merge(*both)
    assert ended.code == 3
    assert "anna.json, task 1: image 'a/0.png' is 'circle' here and 'square' in ben.json, task 1" in ended.stderr
    assert merge(*both, "--on-conflict", "newest").code == 0
    assert labels() == {"a/0.png": "circle"}


def test_conflicts_among_answers_and_with_labels_are_settled_separately(house: Path) -> None:
    write(LABELS, "image,label", "a/0.png,triangle", "b/2.png,square")
    file = answers("ls.json", ("a/0.png", "circle", "square"))
    assert merge("--answers", file, "--on-conflict", "newest", "--allow-new-classes").code == 3
    assert merge("--answers", file, "--on-conflict", "replace").code == 3
    assert merge("--answers", file, "--on-conflict", "newest,replace").code == 0
    assert labels() == {"a/0.png": "square", "b/2.png": "square"}


@pytest.mark.parametrize("rules", ["keep,replace", "newest,majority", "error,newest", "oldest", "keep,oldest", ""])
def test_rules_that_exclude_each_other_are_refused(rules: str, house: Path) -> None:
    ended = merge("--on-conflict", rules or "keep,")
    assert ended.code == 2
    assert "--on-conflict" in ended.stderr

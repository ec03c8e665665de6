"""merge asks before a slip becomes a class: in a first list, and where new classes are allowed too."""

from pathlib import Path

import pytest

from tests.conftest import Ended, dfal, write


def merge(*arguments: object) -> Ended:
    return dfal("merge", "--queries", "q.csv", "--labels", "labels.csv", *arguments)


@pytest.mark.parametrize("allowed", [(), ("--allow-new-classes",)], ids=["first list", "new classes allowed"])
@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        ("Skirt", "skirt", "upper and lower case"),
        ("Skirt", "SKIRT", "upper and lower case"),
        ("big cat", "big  cat", "whitespace"),
        ("caf\u00e9", "cafe\u0301", "how its letters are encoded"),
        ("1", "1.0", "how the number is written"),
        ("1", "01", "how the number is written"),
    ],
)
def test_two_similar_new_classes_are_refused_with_both_lines(
    in_tmp: Path, allowed: tuple[str, ...], one: str, other: str, what: str
) -> None:
    write(in_tmp / "q.csv", "image,label", f"a.png,{one}", "b.png,shoe", f"c.png,{other}")
    ended = merge(*allowed)
    assert ended.code == 3
    for part in ("q.csv, line 4: ", repr(other), f"differs from {one!r}", what, "see q.csv, line 2", "--class-names"):
        assert part in ended.stderr
    assert not Path("labels.csv").exists()
    assert merge(*allowed, "--class-names", f"shoe,{one},{other}").code == 0


def test_a_new_class_similar_to_a_known_one_is_refused_even_if_new_ones_are_allowed(in_tmp: Path) -> None:
    write(in_tmp / "labels.csv", "image,label", "x.png,dog", "y.png,cat")
    write(in_tmp / "q.csv", "image,label", "a.png,Cat")
    ended = merge("--allow-new-classes")
    assert ended.code == 3
    assert "q.csv, line 2: 'Cat' is a new class that differs from 'cat' only in upper and lower case" in ended.stderr
    assert "see labels.csv, line 3" in ended.stderr
    assert merge("--class-names", "Cat").code == 0


@pytest.mark.parametrize("word", ["?", "skip", "Unknown", "N/A", "NA", "none", "TODO"])
@pytest.mark.parametrize("arguments", [(), ("--allow-new-classes",)])
def test_a_word_for_no_answer_becomes_a_class_only_with_class_names(
    in_tmp: Path, word: str, arguments: tuple[str, ...]
) -> None:
    write(in_tmp / "q.csv", "image,label", "a.png,cat", f"b.png,{word}")
    ended = merge(*arguments)
    assert ended.code == 3
    for part in ("q.csv, line 3: ", repr(word), "blank", "__skip__", "--class-names"):
        assert part in ended.stderr
    assert merge("--class-names", f"cat,{word}").code == 0
    write(in_tmp / "q.csv", "image,label", f"c.png,{word}")
    assert merge().code == 0  # it is a class now


def test_all_problems_of_a_list_are_counted_in_one_message(in_tmp: Path) -> None:
    rows = ("a.png,Skirt", "b.png,skirt", "c.png,SKIRT", "d.png,?", "e\\f.png,Skirt", "g.png,unknown")
    write(in_tmp / "q.csv", "image,label", *rows)
    ended = merge()
    assert "q.csv, line 3: 'skirt'" in ended.stderr
    assert "(4 more problems in this list); other new classes: SKIRT, ?, unknown\n" in ended.stderr


def test_class_names_close_the_list_of_classes_unless_new_ones_are_allowed(in_tmp: Path) -> None:
    write(in_tmp / "q.csv", "image,label", "a.png,cat", "b.png,horse")
    ended = merge("--class-names", "cat,dog")
    assert ended.code == 3
    assert "q.csv, line 3: 'horse' is a new class; the known classes are cat, dog" in ended.stderr
    assert merge("--class-names", "cat,dog", "--allow-new-classes").code == 0


def test_a_class_that_no_label_can_have_is_a_wrong_option(in_tmp: Path) -> None:
    write(in_tmp / "q.csv", "image,label", "a.png,cat")
    assert merge("--class-names", "cat,__skip__").code == 2


@pytest.mark.parametrize("names", ['cat,"red, big",5" disk', 'cat, "red, big", 5" disk'])
def test_class_names_are_a_line_of_csv(in_tmp: Path, names: str) -> None:
    write(in_tmp / "labels.csv", "image,label", "x.png,cat")
    write(in_tmp / "q.csv", "image,label", 'a.png,"red, big"', 'b.png,"5"" disk"')
    ended = merge("--class-names", names)
    assert ended.code == 0, ended.stderr
    assert Path("labels.csv").read_text().splitlines()[2:] == ['a.png,"red, big",', 'b.png,"5"" disk",']


@pytest.mark.parametrize("names", ['cat,"red, big', '"red" big'])
def test_class_names_with_a_stray_quote_are_refused(in_tmp: Path, names: str) -> None:
    write(in_tmp / "q.csv", "image,label", "a.png,cat")
    ended = merge("--class-names", names)
    assert (ended.code, Path("labels.csv").exists()) == (2, False)
    assert "is not a line of CSV; put double quotes around a name with a comma" in ended.stderr


@pytest.mark.parametrize("known", [True, False], ids=["known", "first list"])
def test_whitespace_around_answers_is_removed_with_a_warning(in_tmp: Path, known: bool) -> None:
    if known:
        write(in_tmp / "labels.csv", "image,label", "x.png,Skirt")
    write(in_tmp / "q.csv", "image,label", "a.png,Skirt ", "b.png,\u00a0Skirt", "c.png, __skip__", "d.png,Skirt")
    ended = merge("--json")
    assert (ended.code, ended.json["counts"]["merged"], ended.json["counts"]["skipped"]) == (0, 4, 1)
    assert ended.json["warnings"] == ["removed whitespace around 3 answers (the first: 'Skirt ', q.csv, line 2)"]
    assert "a.png,Skirt,\nb.png,Skirt,\nc.png,__skip__,\nd.png,Skirt,\n" in Path("labels.csv").read_text()


def test_whitespace_that_is_part_of_a_known_class_stays(in_tmp: Path) -> None:
    write(in_tmp / "labels.csv", "image,label,twin", "x.png,Skirt ,")
    write(in_tmp / "q.csv", "image,label", "a.png,Skirt ")
    assert merge("--json").json["warnings"] == []
    assert Path("labels.csv").read_text().endswith("a.png,Skirt ,\n")

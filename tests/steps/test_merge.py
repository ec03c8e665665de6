"""merge: answers into labels.csv, losing nothing."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfal_cli.steps.merge.command import merge as merge_step
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.system.files import locked
from dfal_cli.system.reporting import Silent
from tests.conftest import Ended, dfal, write

LABELS = Path("labels.csv")


def merge(*arguments: object, queries: str = "q.csv", labels: str = "labels.csv") -> Ended:
    return dfal("merge", "--queries", queries, "--labels", labels, *arguments)


def text(path: str | Path = LABELS) -> str:
    return Path(path).read_bytes().decode()


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """labels.csv with user columns and a list of which two are answered."""
    write(in_tmp / "labels.csv", "note,image,label,who", "n1,b.png,dog,me", ",a.png,,", "x,c.png,cat,you")
    write(in_tmp / "q.csv", "rank,image,label,margin", "1,a.png,cat,0.1", "2,d.png,dog,0.2", "3,e.png,,0.3")
    return in_tmp


def test_rows_and_the_users_columns_keep_their_order_and_new_rows_come_last(house: Path) -> None:
    assert merge().code == 0
    assert text() == "note,image,label,who,twin\nn1,b.png,dog,me,\n,a.png,cat,,\nx,c.png,cat,you,\n,d.png,dog,,\n"


def test_a_merge_of_tables_does_not_import_pillow() -> None:
    told = "import sys, dfal_cli.steps.merge.command; print({'PIL', 'dfal_cli.images'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_merging_says_how_many_were_merged_skipped_left_and_in_conflict(house: Path) -> None:
    write(house / "q.csv", "image,label", "a.png,cat", "b.png,cat", "c.png,cat", "e.png,", "f.png,__skip__", "g.png, ")
    told = merge("--on-conflict", "keep", "--json").json
    assert told["counts"] == {
        "merged": 2, "skipped": 1, "unchanged": 1, "left": 2, "conflicts": 1, "labelled": 3,
    }  # fmt: skip
    assert (told["command"], told["status"], told["outputs"]) == ("merge", "done", ["labels.csv"])


def test_merging_the_same_list_twice_changes_nothing(house: Path) -> None:
    merge()
    before, stamp = text(), LABELS.stat().st_mtime_ns
    ended = merge("--json")
    assert (ended.code, ended.json["status"], ended.json["counts"]["merged"]) == (0, "up to date", 0)
    assert (text(), LABELS.stat().st_mtime_ns) == (before, stamp)


@pytest.mark.parametrize("content", [None, "", "image,label\n", "image,label,twin\n"])
def test_a_first_merge_takes_any_class(in_tmp: Path, content: str | None) -> None:
    write(in_tmp / "q.csv", "image,label", "a.png,cat", "b.png,007", "c.png,1e5", "d.png,__skip__", "e.png,")
    if content is not None:
        LABELS.write_text(content)
    assert merge().code == 0
    assert text() == "image,label,twin\na.png,cat,\nb.png,007,\nc.png,1e5,\nd.png,__skip__,\n"


def test_a_first_merge_makes_the_folder_of_the_labels(in_tmp: Path) -> None:
    write(in_tmp / "q.csv", "image,label", "a.png,cat")
    assert merge(labels="new/folder/labels.csv").code == 0
    assert text("new/folder/labels.csv") == "image,label,twin\na.png,cat,\n"


def test_a_list_without_answers_changes_nothing(house: Path) -> None:
    write(house / "q.csv", "image,label", "a.png,", "z.png,  ")
    before = text()
    assert merge("--json").json["counts"]["left"] == 2
    assert text() == before


def test_a_list_answered_bit_by_bit_is_merged_bit_by_bit(house: Path) -> None:
    merge()
    write(house / "q.csv", "rank,image,label,margin", "1,a.png,cat,0.1", "2,d.png,dog,0.2", "3,e.png,dog,0.3")
    assert merge("--json").json["counts"] == {
        "merged": 1, "skipped": 0, "unchanged": 2, "left": 0, "conflicts": 0, "labelled": 5,
    }  # fmt: skip
    assert text().endswith(",d.png,dog,,\n,e.png,dog,,\n")


def conflict(house: Path) -> str:
    write(house / "q.csv", "image,label", '"x\ny.png",cat', "b.png,cat", "a.png,dog", "c.png,dog")
    return text()


def test_a_conflict_is_an_error_with_line_and_both_values_and_merges_nothing(house: Path) -> None:
    before = conflict(house)
    ended = merge()
    assert (ended.code, text()) == (3, before)
    for part in ("q.csv, line 4", "'b.png'", "'dog' in labels.csv", "'cat' here", "1 more", "--on-conflict"):
        assert part in ended.stderr


def test_a_conflict_can_be_settled_either_way(house: Path) -> None:
    conflict(house)
    assert merge("--on-conflict", "keep", "--out", "kept.csv").code == 0
    assert merge("--on-conflict", "replace", "--out", "replaced.csv").code == 0
    answers = {name: pd.read_csv(f"{name}.csv").set_index("image")["label"].to_dict() for name in ("kept", "replaced")}
    assert answers["kept"] == {"b.png": "dog", "a.png": "dog", "c.png": "cat", "x\ny.png": "cat"}
    assert answers["replaced"] == {"b.png": "cat", "a.png": "dog", "c.png": "dog", "x\ny.png": "cat"}


def test_skip_against_a_label_is_a_conflict(house: Path) -> None:
    write(house / "q.csv", "image,label", "b.png,__skip__")
    assert merge().code == 3


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ("horse", "the known classes are cat, dog"),
        ("catt", "did you mean 'cat'?"),
        ("dogg", "did you mean 'dog'?"),
    ],
)
def test_a_new_class_is_refused_with_a_hint_and_merged_only_if_allowed(house: Path, answer: str, hint: str) -> None:
    write(house / "q.csv", "image,label", "a.png,dog", f"d.png,{answer}")
    before = text()
    ended = merge()
    assert (ended.code, text()) == (3, before)
    for part in ("q.csv, line 3", repr(answer), hint, "--allow-new-classes"):
        assert part in ended.stderr
    assert merge("--allow-new-classes").code == 0
    assert f",d.png,{answer},," in text()


@pytest.mark.parametrize("slip", ["__SKIP__", "__skip_", "_skip_"])
def test_a_misspelled_skip_never_becomes_a_class(house: Path, slip: str) -> None:
    write(house / "q.csv", "image,label", f"d.png,{slip}")
    before = text()
    ended = merge("--allow-new-classes")
    assert (ended.code, text()) == (3, before)
    assert "did you mean '__skip__'" in ended.stderr


def test_a_first_merge_warns_once_of_two_classes_that_differ_by_a_letter_or_two(in_tmp: Path) -> None:
    write(in_tmp / "q.csv", "image,label", "a.png,aeroplane", "b.png,areoplane", "c.png,zebra")
    assert merge("--json").json["warnings"] == ["new class 'aeroplane'; did you mean 'areoplane'?"]


def test_a_dry_run_prints_the_changes_and_makes_none(house: Path) -> None:
    before = text()
    ended = merge("--dry-run")
    assert (ended.code, text()) == (0, before)
    assert ended.stdout == "a.png: '' -> 'cat'\nd.png: '' -> 'dog'\n"
    told = merge("--dry-run", "--json").json
    assert told["changes"][0] == {"image": "a.png", "before": "", "after": "cat"}
    assert (told["status"], told["outputs"], told["counts"]["merged"]) == ("dry run", [], 2)


def test_a_dry_run_makes_no_file_and_no_folder(in_tmp: Path) -> None:
    write(in_tmp / "q.csv", "image,label", "a.png,cat")
    assert merge("--dry-run", labels="new/labels.csv").code == 0
    assert [path.name for path in in_tmp.iterdir()] == ["q.csv"]


def test_missing_images_are_refused_if_the_image_root_is_given(house: Path) -> None:
    write(house / "images" / "a.png", "")
    before = text()
    assert merge("--images", "none").code == 2
    ended = merge("--images", "images")
    assert (ended.code, text()) == (3, before)
    assert "q.csv, line 3: image 'd.png' is not under images" in ended.stderr


def test_a_held_lock_means_try_again_later(house: Path) -> None:
    before = text()
    with locked(Path("labels.csv")):
        ended = merge()
    assert (ended.code, text()) == (75, before)
    assert "labels.csv" in ended.stderr
    assert merge().code == 0


@pytest.mark.parametrize(
    ("list_", "code"),
    [
        (["image,lable", "a.png,cat"], 3),
        (["image,label", "a.png,cat", "a.png,dog"], 3),
        (["image,label", "../a.png,cat"], 3),
        (["image,label", "a.png,cat,cat"], 3),
        (["image,label", "a.png,unicorn"], 3),
        (["image,label", "b.png,cat"], 3),
    ],
)
def test_a_failed_merge_leaves_the_labels_unchanged_and_no_other_file(house: Path, list_: list[str], code: int) -> None:
    write(house / "q.csv", *list_)
    before, names = text(), {path.name for path in house.iterdir()}
    assert merge().code == code
    assert text() == before
    assert {path.name for path in house.iterdir()} == names


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_merging_answers_in_any_split_and_order_loses_no_label(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    labels = st.sampled_from(["cat", "dog", "007", "=x", "a,b", "__skip__"])
    images = data.draw(st.permutations([f"{k}.png" for k in range(6)]))
    answers = {image: data.draw(labels) for image in images}
    lists = [data.draw(st.sets(st.sampled_from(images))) for _ in range(3)] + [set(images)]
    write(folder / "labels.csv", "image,label,note", f"{images[0]},,mine")
    for number, asked in enumerate(data.draw(st.permutations(lists))):
        rows = [(image, answers[image] if data.draw(st.booleans()) else "") for image in sorted(asked)]
        if len(asked) == len(images):
            rows = list(answers.items())
        queries = folder / f"{number}.csv"
        pd.DataFrame(rows, columns=["image", "label"]).replace("=x", "'=x").to_csv(queries, index=False)
        merge_step(MergeOptions(queries=queries, labels=folder / "labels.csv", allow_new_classes=True), Silent())
    merged = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    assert dict(zip(merged["image"], merged["label"].str.removeprefix("'"), strict=True)) == answers
    assert (merged["image"][0], merged["note"][0]) == (images[0], "mine")


def test_an_existing_out_with_other_labels_is_overwritten_only_with_force(house: Path) -> None:
    write(house / "other.csv", "mine", "1")
    assert merge("--out", "other.csv").code == 2
    assert text("other.csv") == "mine\n1\n"
    assert merge("--out", "other.csv", "--force").code == 0
    assert merge("--out", "other.csv", "--json").json["status"] == "up to date"

"""select, run again over a list of its own: what people and spreadsheets did to it makes it no other list."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dfal_cli.pages import preview
from tests.conftest import write, write_margins
from tests.steps.test_select import answer, first, house, rows, select

__all__ = ["house"]

SIDECAR = "q.csv.meta.json"
Edit = Callable[[pd.DataFrame], str]


def as_csv(table: pd.DataFrame, **how: str) -> str:
    return table.to_csv(index=False, **how)


EDITS: dict[str, Edit] = {
    "sorted": lambda table: as_csv(table.sort_values("image", ascending=False)),
    "filtered": lambda table: as_csv(table[:1]),
    "notes": lambda table: as_csv(table.assign(notes="blurred, ask Ann")),
    "columns moved": lambda table: as_csv(table[["label", "image", "twin", "margin", "rank"]]),
    "columns deleted": lambda table: as_csv(table[["image", "label"]]),
    "scientific numbers": lambda table: as_csv(table.assign(margin="1.00E-01", rank="1.00E+00")),
    "decimal commas": lambda table: as_csv(table.assign(margin="0,1"), sep=";"),
    "mark and CRLF": lambda table: "\ufeff" + as_csv(table, sep=";", lineterminator="\r\n"),
    "paths with ./": lambda table: as_csv(table.assign(image="./" + table["image"])),
    "all of it": lambda table: "\ufeff" + as_csv(table.assign(margin="1,00E-01", n="")[1:], sep=";"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("answers", [(), ("dark",), ("dark", "light", "dark")], ids=len)
@pytest.mark.parametrize("alone", [False, True], ids=["", "alone"])
def test_an_edited_list_is_the_same_list(house: Path, edit: Edit, answers: tuple[str, ...], alone: bool) -> None:
    select("--count", 3)
    answer("q.csv", *answers)
    edited = edit(rows()).encode()
    Path("q.csv").write_bytes(edited)
    if alone:  # an older dfal wrote it, or it was moved without what stood beside it
        Path(SIDECAR).unlink()
    is_part = edit in (EDITS["filtered"], EDITS["all of it"])
    is_answered = b"dark" in edited or b"light" in edited
    ended = select("--count", 3, "--json")
    assert Path("q.csv").read_bytes() == edited
    if alone and is_part and not is_answered:
        assert (ended.code, "of these 3 images" in ended.stderr) == (2, True), ended.stderr
        return
    assert (ended.code, ended.stderr) == (0, "q.csv: up to date\n")
    assert ended.json["status"] == "up to date"
    assert Path(SIDECAR).exists() == (not (alone and is_part))


def test_a_smaller_list_without_its_record_does_not_pass_for_a_larger_one(house: Path) -> None:
    select("--count", 2)
    Path(SIDECAR).unlink()
    ended = select("--count", 5)
    assert (ended.code, "asks about only 2 of these 5 images" in ended.stderr) == (2, True), ended.stderr
    assert not Path(SIDECAR).exists()
    answer("q.csv", "dark")
    assert select("--count", 5, "--json").json["status"] == "up to date"
    assert not Path(SIDECAR).exists(), "nobody knows what it asked"


@pytest.mark.parametrize("alone", [False, True], ids=["", "alone"])
def test_a_list_saved_on_macos_is_recognised(house: Path, alone: bool) -> None:
    (house / "images" / "000.png").rename(house / "images" / "caf\u00e9.png")
    write_margins(house / "scores.parquet", house / "images", {"caf\u00e9.png": 0.1, "001.png": 0.2})
    select("--count", 2)
    saved = as_csv(rows()).replace("\u00e9", "e\u0301")
    Path("q.csv").write_text(saved, encoding="utf-8")
    if alone:
        Path(SIDECAR).unlink()
    assert select("--count", 2, "--json").json["status"] == "up to date"
    assert Path("q.csv").read_text(encoding="utf-8") == saved


@pytest.mark.parametrize("answers", [("dark", " light"), ("dark", "__skip__")])
def test_a_list_whose_answers_are_merged_may_be_deleted(house: Path, answers: tuple[str, ...]) -> None:
    select("--count", 3)
    text = answer("q.csv", *answers)
    another = ("--count", 2, "--labels", "mine.csv")
    write(house / "mine.csv", "image,label", "002.png,dark")
    assert "it is not overwritten: merge it, or choose another --out" in select(*another).stderr
    write(house / "mine.csv", "image,label", "002.png,dark", f"004.png,{answers[1].strip()}")
    ended = select(*another, "--force")
    assert ended.code == 2
    assert "its 2 answers are already in mine.csv; choose another --out, or delete it" in ended.stderr
    assert Path("q.csv").read_text() == text


@pytest.mark.parametrize("page", [True, False], ids=["while the page is made", "after it"])
def test_answers_saved_while_another_list_is_made_are_kept(
    house: Path, monkeypatch: pytest.MonkeyPatch, page: bool
) -> None:
    select("--count", 3, "--preview", "p.html")
    before = Path("p.html").read_bytes()
    saved: list[str] = []

    def meanwhile(whole: Callable[..., Any], *arguments: Any, **further: Any) -> Any:
        made = whole(*arguments, **further)
        saved.append(answer("q.csv", "dark"))
        return made

    name = "order" if page else "write_preview"
    monkeypatch.setattr(preview, name, partial(meanwhile, getattr(preview, name)))
    told = Path(SIDECAR).read_bytes()
    ended = select("--count", 4, "--preview", "p.html", "--force")
    assert (ended.code, "q.csv: another program changed the file" in ended.stderr) == (75, True), ended.stderr
    assert Path("q.csv").read_text() == saved[0]
    assert Path(SIDECAR).read_bytes() == told
    assert (Path("p.html").read_bytes() == before) == page


def test_a_first_list_is_recognised_too(house: Path) -> None:
    first("--count", 3)
    Path("q.csv").write_text(EDITS["all of it"](rows()), encoding="utf-8")
    assert first("--count", 3, "--json").json["status"] == "up to date"


def test_a_list_without_rows_is_recognised_by_its_metadata(house: Path) -> None:
    select("--count", 3)
    write(house / "q.csv", "rank,image,label")
    assert select("--count", 3, "--json").json["status"] == "up to date"
    Path(SIDECAR).unlink()
    assert select("--count", 3).code == 2


@pytest.mark.parametrize("alone", [False, True], ids=["", "alone"])
def test_a_list_that_names_an_image_never_asked_about_is_another_one(house: Path, alone: bool) -> None:
    select("--count", 3)
    text = as_csv(pd.concat([rows(), pd.DataFrame([{"image": "000.png", "label": ""}])]).fillna(""))
    Path("q.csv").write_text(text)
    if alone:
        Path(SIDECAR).unlink()
    ended = select("--count", 3)
    assert ended.code == 2
    assert "q.csv: exists, and asks about other images; choose another --out, or use --force" in ended.stderr
    assert Path("q.csv").read_text() == text


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ((), ("--count", 4), "was made with --count 3, not 4"),
        ((), ("--strategy", "entropy"), "was made with --strategy dfal, not entropy"),
        ((), ("--seed", 7), "was made with --seed 0, not 7"),
        ((), ("--with-predictions",), "was made without --with-predictions"),
        (("--with-predictions",), (), "was made with --with-predictions, not without"),
        ((), ("--scores", "others.parquet"), "was made from other --scores"),
        (
            (),
            ("--exclude", "excluded.csv"),
            "asks about other images: some have since been labelled, excluded, deleted",
        ),
    ],
)
@pytest.mark.parametrize("answers", [(), ("dark",)], ids=len)
def test_another_list_is_refused_with_the_difference(
    house: Path, before: tuple[object, ...], now: tuple[object, ...], said: str, answers: tuple[str, ...]
) -> None:
    write(house / "excluded.csv", "image", "002.png")
    write_margins(house / "others.parquet", house / "images", {"002.png": 0.3, "003.png": 0.2, "004.png": 0.1})
    select("--count", 3, *before)
    text = answer("q.csv", *answers)
    ended = select("--count", 3, *now)
    assert ended.code == 2
    assert f"{'holds 1 answer' if answers else 'exists'}, and {said}" in ended.stderr
    assert Path("q.csv").read_text() == text


def test_a_list_that_replaces_another_has_its_own_metadata(house: Path) -> None:
    select("--count", 3)
    assert select("--count", 4, "--force").code == 0
    assert select("--count", 4, "--json").json["status"] == "up to date"
    assert "--count 4, not 3" in select("--count", 3).stderr


def test_force_writes_a_list_without_answers_as_it_was(house: Path) -> None:
    select("--count", 3)
    whole = Path("q.csv").read_text()
    Path("q.csv").write_text(EDITS["filtered"](rows()))
    assert select("--count", 3, "--force", "--json").json["status"] == "done"
    assert Path("q.csv").read_text() == whole


def test_equal_lists_have_equal_metadata(house: Path) -> None:
    select("--count", 3)
    select("--count", 3, out="r.csv")
    told = Path(SIDECAR).read_bytes()
    assert told == Path("r.csv.meta.json").read_bytes()
    assert json.loads(told)["contract"] == 1
    assert json.loads(told)["parts"]["images"] == ["002.png", "003.png", "004.png"]


@pytest.mark.parametrize("told", ["", "{", "[1]", '{"contract":1}', '{"made_from":"x","parts":{"images":[[1]]}}'])
def test_damaged_metadata_count_as_missing(house: Path, told: str) -> None:
    select("--count", 3)
    Path(SIDECAR).write_text(told)
    assert select("--count", 3, "--json").json["status"] == "up to date"


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "force"])
def test_an_unreadable_list_is_kept_and_the_message_says_what_to_do(house: Path, force: tuple[str, ...]) -> None:
    Path("q.csv").write_bytes(b"")
    ended = select("--count", 3, *force)
    assert ended.code == 3
    assert ended.stderr.endswith("q.csv: empty; its first line must name the columns image, label; repair the file, "
                                 "or delete it if it is not needed\n")  # fmt: skip
    assert Path("q.csv").read_bytes() == b""


def test_a_foreign_file_in_place_of_the_metadata_is_kept(house: Path) -> None:
    write(house / SIDECAR, "mine")
    ended = select("--count", 3)
    assert (ended.code, "q.csv.meta.json: exists and was not written by dfal" in ended.stderr) == (2, True), (
        ended.stderr
    )
    assert Path(SIDECAR).read_text() == "mine\n"
    assert not Path("q.csv").exists()
    assert select("--count", 3, "--force").code == 0

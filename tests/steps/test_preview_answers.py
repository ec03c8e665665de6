"""Answers on the preview page: the classes and keys that it offers, and the table that it saves for merge."""

import json
from pathlib import Path

import pandas as pd

from tests.conftest import dfal, draw_folder, write, write_margins
from tests.labelling.serving import served
from tests.page import Page, listed
from tests.steps.test_preview import EVIL, page

__all__ = ["page"]


def filled_in(page: Page, labels: dict[str, str]) -> pd.DataFrame:
    """The table that the page saves, with the label of each image."""
    given = listed(page)
    table = pd.DataFrame(given["rows"], columns=given["columns"])
    assert list(table.columns).index("rank") == given["rank"]
    table.isetitem(given["label"], table["image"].map(labels).fillna(""))
    return table


def test_merge_takes_the_answers_that_the_page_saves_with_their_twins(page: Page) -> None:
    assert Path("q.csv").read_text(encoding="utf-8").splitlines()[0] == ",".join(listed(page)["columns"])
    assert listed(page)["file"] == "q.answers.csv"
    assert "dfal merge --queries q.answers.csv --labels labels.csv" in page.text
    answers = {"000.png": "dark", EVIL: "light", "002.png": "__skip__"}
    filled_in(page, answers).to_csv("q.answers.csv", index=False)
    ended = dfal("merge", "--queries", "q.answers.csv", "--labels", "mine.csv")
    assert ended.code == 0, ended.stderr
    merged = pd.read_csv("mine.csv", keep_default_na=False).set_index("image")
    assert merged["label"].to_dict() == {"000.png": "dark", EVIL: "light", "002.png": "__skip__"}
    assert merged["twin"]["000.png"] == "t.npy"


def test_answers_are_kept_for_this_list_and_no_other(page: Page) -> None:
    first = listed(page)["identity"]
    select = ("select", "--scores", "s.parquet", "--out", "r.csv", "--preview", "r.html", "--force")
    dfal(*select, "--count", 4, "--with-predictions")
    assert listed(Page(Path("r.html")))["identity"] == first
    dfal(*select, "--count", 3)
    assert listed(Page(Path("r.html")))["identity"] != first


def test_the_classes_of_the_labels_are_offered_and_those_of_the_network_first(in_tmp: Path) -> None:
    draw_folder(in_tmp, each=2)
    write(Path("l.csv"), "image,label", "000.png,zebra", "001.png,ant", "002.png,__skip__", "003.png,")
    first = ("select", "--images", "images", "--labels", "l.csv", "--strategy", "random", "--count", 1)
    assert dfal(*first, "--out", "q.csv", "--preview", "p.html").code == 0
    assert listed(Page(Path("p.html")))["classes"] == [["ant", "1"], ["zebra", "2"]]
    Path("l.csv.keys.csv").unlink()
    write_margins(Path("s.csv"), Path("images"), {"003.png": 0.5})
    metadata = Path("s.csv.meta.json")
    stored = json.loads(metadata.read_text()) | {"classes": ["light", "dark", "zebra"]}
    metadata.write_text(json.dumps(stored))
    scored = ("select", "--scores", "s.csv", "--labels", "l.csv", "--count", 1)
    assert dfal(*scored, "--out", "r.csv", "--preview", "r.html").code == 0
    assert listed(Page(Path("r.html")))["classes"] == [["light", "1"], ["dark", "2"], ["zebra", "3"], ["ant", "4"]]
    write(Path("l.csv.keys.csv"), "class,key", "zebra,7", "dark,d")
    assert dfal(*scored, "--out", "r.csv", "--preview", "r.html", "--force").code == 0
    found = listed(Page(Path("r.html")))["classes"]
    assert found == [["light", "1"], ["ant", "2"], ["zebra", "7"], ["dark", "d"]], "as on the labelling page"


def test_the_keys_of_a_page_are_those_of_later_pages_and_of_the_labelling_page(in_tmp: Path) -> None:
    draw_folder(in_tmp, each=4)
    first = ("select", "--images", "images", "--strategy", "random", "--count", 1, "--keys", "k.csv")
    assert dfal(*first, "--class-names", "shoe,hat", "--out", "q.csv", "--preview", "p.html").code == 0
    keys = [["shoe", "1"], ["hat", "2"]]
    assert listed(Page(Path("p.html")))["classes"] == keys
    write(Path("l.csv"), "image,label", "000.png,apron", "001.png,hat")
    assert dfal(*first, "--labels", "l.csv", "--out", "r.csv", "--preview", "r.html").code == 0
    assert listed(Page(Path("r.html")))["classes"] == [*keys, ["apron", "3"]]
    with served(Path("r.csv"), Path("images"), keys=Path("k.csv"), class_names=["boot", "hat"]) as page:
        found = [[each["name"], each["key"]] for each in page.get("state").json["classes"]]
    assert found == [*keys, ["apron", "3"], ["boot", "4"]]
    ended = dfal(*first, "--out", "s.csv")
    assert ended.code == 2
    assert "--keys: no effect without --preview" in ended.stderr

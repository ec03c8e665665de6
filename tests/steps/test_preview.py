"""The preview page: one file that shows the queries and why they were picked, and runs no script but its own."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dfal_cli.pages.preview import write_preview
from dfal_cli.strategies import STRATEGIES
from tests.conftest import dfal, draw_folder, write_margins
from tests.page import Page, listed
from tests.steps.test_select_strategies import add, vectors

EVIL = "<script>alert(1)<&\"'>.png"


@pytest.fixture
def page(in_tmp: Path) -> Page:
    """A page of four queries: one with a twin, one of an evil name, one that is none, one that leads elsewhere."""
    draw_folder(in_tmp, each=2)
    (in_tmp / "images" / "001.png").rename(in_tmp / "images" / EVIL)
    (in_tmp / "images" / "002.png").write_text("<html>")
    (in_tmp / "images" / "003.png").rename(in_tmp / "outside.png")
    (in_tmp / "images" / "003.png").symlink_to(in_tmp / "outside.png")
    clean = np.asarray(Image.open(in_tmp / "images" / "000.png"), np.float32)[None] / 255
    twin = clean.copy()
    twin[0, 3, 5] += 0.01
    np.save(in_tmp / "t.npy", twin)
    margins = {"000.png": 0.125, EVIL: 0.25, "002.png": None, "003.png": None}
    write_margins(in_tmp / "s.parquet", in_tmp / "images", margins, twin=["t.npy", None, None, None])
    ended = dfal("select", "--scores", "s.parquet", "--count", 4, "--out", "q.csv", "--preview", "p.html")
    assert (ended.code, ended.stdout) == (0, "q.csv\np.html\n"), ended.stderr
    return Page(in_tmp / "p.html")


def test_the_page_needs_nothing_but_itself(page: Page) -> None:
    for _, attributes in page.tags:
        assert (attributes.get("src") or "data:").startswith("data:image/") or "src" not in attributes
        assert "href" not in attributes
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not re.search(r"https?:|fetch\(|XMLHttp", page.source)
    assert "url(" not in page.source


def test_browsers_may_run_the_pages_own_script_and_load_nothing(page: Page) -> None:
    (policy,) = (str(attributes["content"]) for _, attributes in page.tags if "http-equiv" in attributes)
    script = page.source.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", f"script-src 'sha256-{digest}'",
    ]  # fmt: skip


def test_names_are_shown_and_not_run(page: Page) -> None:
    assert EVIL in page.text
    assert page.source.count("<script") == 2  # the list, which is data, and the script of the page
    assert [row[1] for row in listed(page)["rows"]] == ["000.png", EVIL, "002.png", "003.png"]
    assert all(not name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_the_names_of_folders_are_not_shown_as_they_may_be_the_answers(in_tmp: Path) -> None:
    (in_tmp / "skirt").mkdir()
    Image.new("L", (16, 16)).save("skirt/0e9d.png")
    queries = pd.DataFrame([{"rank": "1", "image": "skirt/0e9d.png", "label": "", "margin": "", "twin": ""}])
    write_preview(Path("p.html"), Path("q.csv"), queries, None, in_tmp, {}, "random", keys={}, keep_better=False)
    shown, *_ = Path("p.html").read_text().split("<script")
    assert '<p class="name" title="skirt/0e9d.png">0e9d.png</p>' in shown
    assert shown.count("skirt") == 1, "on demand"


def test_ranks_margins_and_reasons_are_shown(page: Page) -> None:
    for part in ("1", "4", "0.125", "0.25", "not an image", "leaves the image root"):
        assert part in page.text


def test_the_page_shows_predictions_only_with_with_predictions(page: Page) -> None:
    assert not {"between dark", "probably dark"} & set(re.findall(r"\w+ dark", page.words))
    select = ("select", "--scores", "s.parquet", "--count", 4, "--out", "r.csv", "--preview", "r.html")
    dfal(*select, "--with-predictions")
    words = Page(Path("r.html")).words
    assert words.count("between dark and light") == 2
    assert words.count("probably dark (50 %)") == 2


def test_a_page_that_was_lost_is_made_again(page: Page) -> None:
    Path("p.html").unlink()
    ended = dfal("select", "--scores", "s.parquet", "--count", 4, "--out", "q.csv", "--preview", "p.html", "--json")
    assert ended.json["status"] == "up to date"
    assert Path("p.html").read_text(encoding="utf-8") == page.source


def test_a_foreign_page_is_overwritten_only_with_force(page: Page) -> None:
    again = ("select", "--scores", "s.parquet", "--count", 3, "--out", "r.csv", "--preview", "mine.html")
    Path("mine.html").write_text("<html><p>precious", encoding="utf-8")
    ended = dfal(*again)
    assert (ended.code, "mine.html: exists and is not a preview page of dfal" in ended.stderr) == (2, True), (
        ended.stderr
    )
    assert Path("mine.html").read_text(encoding="utf-8") == "<html><p>precious"
    assert not Path("r.csv").exists()
    assert dfal(*again, "--force").code == 0
    assert "precious" not in Path("mine.html").read_text(encoding="utf-8")
    assert dfal(*again[:-3], "s.csv", "--preview", "mine.html").code == 0, "the page of another list is ours"


def test_an_image_root_given_relative_is_found_from_another_folder(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    select = ("select", "--scores", "../s.parquet", "--count", 1, "--out", "q.csv", "--preview", "p.html")
    assert dfal(*select).code == 0
    assert len(Page(Path("p.html")).pictures()) == 3


def preview_by(strategy: str, root: Path, **columns: list[Any]) -> Page:
    """A page of two queries from a pool of four."""
    draw_folder(root, each=2)
    margins = {f"{number:03}.png": 0.5 * number for number in range(4)}
    path = write_margins(root / "s.parquet", root / "images", margins, **columns)
    add(path, embedding=vectors(np.eye(4).tolist()))
    select = ("select", "--scores", path, "--strategy", strategy, "--count", 2, "--out", root / "q.csv")
    ended = dfal(*select, "--preview", root / "p.html")
    assert ended.code == 0, ended.stderr
    return Page(root / "p.html")


def test_what_they_were_picked_by_is_said_and_its_value_stands_on_each_card(tmp_path: Path) -> None:
    page = preview_by("entropy", tmp_path, entropy=[0.125, 0.25, 0.375, 0.75])
    assert f"picked by entropy: {STRATEGIES['entropy'].help}; best query first." in page.words
    assert "entropy 0.75 margin 1.5" in page.words
    assert "entropy 0.375 margin 1" in page.words
    assert "(not used for this selection)" in page.words


def test_where_no_query_has_a_margin_nothing_is_said_of_margins(tmp_path: Path) -> None:
    assert "The margin" in preview_by("least-confidence", tmp_path / "some").words
    none = preview_by("least-confidence", tmp_path / "none", margin=[None] * 4, outcome=["skipped"] * 4)
    assert "The margin" not in none.words
    assert "confidence 0.5" in none.words


def test_a_picture_that_stands_for_a_cluster_is_said_to(tmp_path: Path) -> None:
    said = "Each image represents a cluster of similar images"
    assert said in preview_by("dfal-diverse", tmp_path / "diverse").words
    assert said not in preview_by("dfal", tmp_path / "dfal").words


@pytest.mark.parametrize("preview", ["folder", "oracle.csv"])
def test_a_page_that_cannot_be_written_there_is_a_usage_error_that_names_it(in_tmp: Path, preview: str) -> None:
    draw_folder(in_tmp, each=2)
    Path("folder").mkdir()
    before = Path("oracle.csv").read_bytes()
    first = ("select", "--images", "images", "--strategy", "random", "--count", 1, "--out", "q.csv")
    ended = dfal(*first, "--preview", preview)
    assert ended.code == 2
    assert f"{preview}" in ended.stderr
    assert ".tmp" not in ended.stderr
    assert Path("oracle.csv").read_bytes() == before
    assert not Path("q.csv").exists()

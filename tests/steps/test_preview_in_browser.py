"""The preview page in a real browser, opened from disk: keys answer, answers are kept and saved for merge."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import dfal, draw_folder, write, write_margins
from tests.labelling.browser import chromium

NAMES = [f"{number:03}.png" for number in range(8)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def tab(browser: Any, in_tmp: Path) -> Iterator[Any]:
    """A tab with a page of eight queries and the classes light, dark and odd. Errors in the page fail the test."""
    draw_folder(in_tmp, each=6)
    write_margins(in_tmp / "s.parquet", in_tmp / "images", dict(zip(NAMES, range(1, 9), strict=True)))
    write(in_tmp / "l.csv", "image,label", "008.png,light", "009.png,dark", "010.png,odd")
    select = ("select", "--scores", "s.parquet", "--labels", "l.csv", "--count", 8, "--out", "q.csv")
    assert dfal(*select, "--preview", "p.html").code == 0
    tab = browser.new_context(viewport={"width": 1200, "height": 800}).new_page()
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda message: problems.append(message.text))
    tab.on("request", lambda request: request.url.startswith(("file:", "data:", "blob:")) or problems.append("request"))
    tab.goto((in_tmp / "p.html").as_uri())
    yield tab
    tab.context.close()
    assert not problems


def press(tab: Any, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)


def saved(tab: Any) -> dict[str, str]:
    """The answers in the file that the page saves, as `merge` takes them."""
    with tab.expect_download() as download:
        tab.click("#save")
    assert download.value.suggested_filename == "q.answers.csv"
    download.value.save_as("downloaded.csv")
    Path("merged.csv").unlink(missing_ok=True)
    ended = dfal("merge", "--queries", "downloaded.csv", "--labels", "merged.csv")
    assert ended.code == 0, ended.stderr
    return dict(pd.read_csv("merged.csv", keep_default_na=False)[["image", "label"]].to_numpy())


def test_one_key_answers_and_goes_on_and_the_saved_answers_are_merged(tab: Any) -> None:
    press(tab, "1", "2", "u", "Space", "3")
    assert tab.inner_text("#count") == "4 of 8"
    assert tab.inner_text("#now") == "image 6"
    assert saved(tab) == {NAMES[0]: "dark", NAMES[1]: "light", NAMES[2]: "__skip__", NAMES[4]: "odd"}
    assert "4 images are not answered yet" in tab.inner_text("#said")


def test_a_list_without_answers_is_saved_as_it_was_written(tab: Any) -> None:
    with tab.expect_download() as download:
        tab.click("#save")
    assert Path(download.value.path()).read_bytes() == Path("q.csv").read_bytes()


def test_answers_can_be_undone_changed_and_removed(tab: Any) -> None:
    press(tab, "1", "1", "1", "Backspace", "Backspace", "3", "ArrowLeft", "Delete", "ArrowLeft", "2")
    assert saved(tab) == {NAMES[0]: "light"}


def test_a_class_that_spreadsheets_would_run_is_kept_as_it_was_typed(tab: Any) -> None:
    press(tab, "n")
    tab.keyboard.type('=1+1, "new"')
    press(tab, "Enter", "4")
    label = '=1+1, "new"'
    assert saved(tab) == {NAMES[0]: f"'{label}", NAMES[1]: f"'{label}"}, "as labels.csv holds it"


def test_answers_and_new_classes_outlive_the_page(tab: Any) -> None:
    press(tab, "1", "n")
    tab.keyboard.type("newcomer")
    press(tab, "Enter")
    tab.reload()
    assert tab.inner_text("#count") == "2 of 8"
    assert tab.inner_text("#now") == "image 3"
    press(tab, "4")
    assert saved(tab) == {NAMES[0]: "dark", NAMES[1]: "newcomer", NAMES[2]: "newcomer"}


def test_one_image_at_a_time_fills_the_window_and_follows_the_answers(tab: Any) -> None:
    small = tab.locator("article.now .photo").bounding_box()
    press(tab, "z")
    assert tab.locator("article.now .photo").bounding_box()["height"] > 1.2 * small["height"]
    assert tab.locator("article:visible").count() == 1
    tab.click("#classes button:nth-child(2)")
    assert tab.locator("article:visible .rank").inner_text() == "2"
    press(tab, "Escape")
    assert tab.locator("article:visible").count() == 8


def test_a_phone_shows_whole_images_and_all_buttons(tab: Any) -> None:
    tab.set_viewport_size({"width": 360, "height": 700})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    for button in ("#save", "#new", "#unusable", "#classes button:last-child"):
        box = tab.locator(button).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360

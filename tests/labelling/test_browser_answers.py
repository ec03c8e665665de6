"""The labelling page in a real browser: answering, correcting, undoing, by any keyboard."""

import threading
from pathlib import Path
from typing import Any

import pytest

from dfal_cli.images.screen import Picture
from dfal_cli.pages.labelling.photos import Photos
from tests.conftest import write
from tests.labelling.serving import Served, draw_list, served
from tests.labelling.tabs import CLASSES, answers, opened, press, shows


def test_a_key_answers_and_the_answer_is_on_disk_before_the_next_image_shows(browser: Any, here: Served) -> None:
    tab = opened(browser, here)
    for number, (key, name) in enumerate(zip("123", CLASSES, strict=True), 1):
        shows(tab, number)
        tab.keyboard.press(key)
        shows(tab, number + 1)
        assert answers(here)[number - 1] == name
    tab.locator("#classes").get_by_role("button", name="hat").click()
    shows(tab, 5)
    assert answers(here)[:5] == ["boot", "hat", "shoe", "hat", ""]
    tab.reload()
    shows(tab, 5)
    assert tab.problems == []


def test_skipping_unusable_and_undo(browser: Any, here: Served) -> None:
    tab = opened(browser, here)
    shows(tab, 1)
    tab.keyboard.press(" ")
    shows(tab, 2)
    tab.keyboard.press("u")
    press(tab, "123123123", 3)
    tab.keyboard.press("1")
    shows(tab, 1)  # the skipped one
    assert answers(here) == ["", "__skip__", *(CLASSES * 4)[:10]]
    tab.reload()
    shows(tab, 1)
    for number in range(12, 1, -1):  # without limit, also after a reload
        tab.keyboard.press("Backspace")
        shows(tab, number)
    assert set(answers(here)) == {""}
    tab.keyboard.press("Backspace")
    tab.wait_for_selector("text=nothing of yours to undo")


def test_going_back_and_correcting(browser: Any, here: Served) -> None:
    tab = opened(browser, here)
    press(tab, "111")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowLeft")
    shows(tab, 2)
    assert tab.locator('.class[aria-pressed="true"]').inner_text().split() == ["1", "boot", "3"]
    tab.keyboard.press("2")
    shows(tab, 4)
    assert answers(here)[:4] == ["boot", "hat", "boot", ""]
    tab.keyboard.press("ArrowRight")
    shows(tab, 5)
    tab.locator("#recent button", has_text="hat").click()
    shows(tab, 2)
    tab.keyboard.press("3")
    tab.wait_for_selector("#recent >> text=shoe")
    assert answers(here)[:4] == ["boot", "shoe", "boot", ""]


def test_a_key_that_is_pressed_before_the_next_image_shows_answers_nothing(browser: Any, here: Served) -> None:
    tab = opened(browser, here)
    shows(tab, 1)
    tab.keyboard.press("?")
    assert not tab.locator("#help-find").is_visible()  # there is no such field
    tab.keyboard.press("Escape")
    with here.session._lock:  # saving takes its time
        tab.keyboard.press("1")
        tab.keyboard.press("2")
        tab.wait_for_selector("text=not counted")
        tab.keyboard.press("Backspace")
    tab.wait_for_selector("text=Undone")
    shows(tab, 1)
    assert set(answers(here)) == {""}


def test_an_image_that_cannot_be_shown_gets_no_class(browser: Any, tmp_path: Path) -> None:
    queries = draw_list(tmp_path, 3)
    write(tmp_path / "images/000.png", "not an image")
    with served(queries, tmp_path / "images", class_names=CLASSES) as page:
        tab = browser.new_page()
        tab.goto(page.address)
        tab.wait_for_selector("#unreadable:has-text('Press u')")
        tab.keyboard.press("1")
        tab.locator("#classes").get_by_role("button", name="hat").click()
        tab.wait_for_selector("#toast.shown:has-text('Press u')")
        tab.keyboard.press("g")
        tab.wait_for_selector(".tile[disabled]")
        tab.wait_for_selector("text=Answer 2 with “boot”")
        tab.keyboard.press("Enter")
        tab.wait_for_selector("text=None left")
        with tab.expect_response("**/queue?*"):
            tab.keyboard.press("Escape")
        tab.keyboard.press("u")
        tab.wait_for_selector("text=All 3 answered")
        assert answers(page) == ["__skip__", "boot", "boot"]


def test_many_of_one_class_at_once(browser: Any, tmp_path: Path) -> None:
    queries = draw_list(tmp_path)
    guesses = [f"{n:03d}.png,{'hat' if n % 2 else 'shoe'},0.{90 - n}" for n in range(12)]
    write(tmp_path / "predictions.csv", "image,predicted,confidence", *guesses)
    with served(
        queries, tmp_path / "images", class_names=CLASSES, predictions=tmp_path / "predictions.csv"
    ) as page:  # fmt: skip
        tab = opened(browser, page)
        shows(tab, 1)
        assert not tab.locator("#guess").is_visible()
        tab.keyboard.press("p")
        assert tab.locator("#guess").inner_text() == "predicted: shoe 90 %"
        tab.keyboard.press("g")
        tab.wait_for_selector(".tile")
        tab.keyboard.press("2")
        tab.wait_for_selector("text=6 unanswered are probably hat")
        assert tab.locator(".tile").count() == 6
        tab.locator(".tile").nth(1).click()
        tab.wait_for_selector("text=Answer 5 with “hat”")
        tab.keyboard.press("Enter")
        tab.wait_for_selector("text=None left")
        assert answers(page) == ["", "hat", "", "", "", "hat", "", "hat", "", "hat", "", "hat"]
        tab.keyboard.press("Backspace")
        tab.wait_for_selector("text=6 unanswered are probably hat")
        tab.keyboard.press("Escape")
        shows(tab, 1)
        assert set(answers(page)) == {""}


def test_keys_work_whatever_the_keyboard(browser: Any, here: Served) -> None:
    tab = opened(browser, here)
    shows(tab, 1)
    press_as = "([key, code]) => document.body.dispatchEvent(new KeyboardEvent('keydown', {key, code, bubbles: true}))"
    tab.evaluate(press_as, ["&", "Digit1"])  # French: digits need Shift
    shows(tab, 2)
    tab.evaluate(press_as, ["г", "KeyU"])  # Russian
    shows(tab, 3)
    tab.evaluate(press_as, ["U", "KeyU"])  # Caps Lock
    shows(tab, 4)
    assert answers(here)[:4] == ["boot", "__skip__", "__skip__", ""]


def test_a_grid_answers_no_image_before_it_shows(browser: Any, here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on, picture = threading.Event(), Photos.picture

    def slow_picture(photos: Photos, image: str, side: int) -> Picture:
        assert side != 512 or may_go_on.wait(60)
        return picture(photos, image, side)

    monkeypatch.setattr(Photos, "picture", slow_picture)
    tab = opened(browser, here)
    tab.keyboard.press("g")
    tab.wait_for_selector("text=Loading images")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("text=some images are not there yet")
    assert set(answers(here)) == {""}
    may_go_on.set()
    tab.locator("#grid-save:not([disabled])").click()
    tab.wait_for_selector("text=/^2 unanswered/")
    assert answers(here) == ["boot"] * 10 + ["", ""]


def test_a_list_of_labels_to_review_shows_the_label_so_far(browser: Any, tmp_path: Path) -> None:
    queries = draw_list(tmp_path, 2)
    write(queries, "rank,image,label,labelled,why", "1,000.png,,boot,probably shoe", "2,001.png,,shoe,")
    with served(queries, tmp_path / "images", class_names=CLASSES) as page:
        tab = opened(browser, page)
        shows(tab, 1)
        assert tab.locator("#labelled").inner_text() == "labelled boot so far: is that right?"
        tab.keyboard.press("1")
        shows(tab, 2)
        assert tab.locator("#labelled").inner_text() == "labelled shoe so far: is that right?"
        assert answers(page) == [CLASSES[0], ""]

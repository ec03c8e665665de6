"""The labelling page in a real browser: new classes, many classes, and odd names of classes and images."""

from pathlib import Path
from typing import Any

from tests.conftest import write
from tests.labelling.serving import Served, draw_list, served
from tests.labelling.tabs import answers, opened, press, shows


def test_a_new_class_gets_the_next_key_and_keeps_it(browser: Any, here: Served) -> None:
    tab = opened(browser, here)
    shows(tab, 1)
    tab.keyboard.press("n")
    tab.keyboard.type("Hat")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("text=only in upper and lower case")
    tab.locator("#class-name").fill("apron")
    tab.keyboard.press("Enter")
    shows(tab, 2)
    assert tab.locator(".class kbd").all_inner_texts() == ["1", "2", "3", "4"]
    tab.keyboard.press("4")
    shows(tab, 3)
    assert answers(here)[:3] == ["apron", "apron", ""]


def test_with_more_classes_than_keys_typing_finds_a_class(browser: Any, tmp_path: Path) -> None:
    names = [f"kind-{number:03d}" for number in range(50)]
    with served(draw_list(tmp_path), tmp_path / "images", class_names=names) as page:
        tab = opened(browser, page)
        shows(tab, 1)
        tab.keyboard.type("d-047")
        tab.keyboard.press("Enter")
        shows(tab, 2)
        tab.keyboard.type("kind-048")
        tab.keyboard.press("Enter")
        shows(tab, 3)
        tab.keyboard.press("Backspace")  # in the empty field
        shows(tab, 2)
        tab.keyboard.press("Escape")
        tab.keyboard.press("a")
        shows(tab, 3)
        assert answers(page)[:3] == ["kind-047", "kind-010", ""]


def test_what_is_typed_in_the_field_is_never_an_answer_or_a_command(browser: Any, tmp_path: Path) -> None:
    names = ["size 1", "size 12", *(f"kind-{number:03d}" for number in range(40))]
    queries = draw_list(tmp_path)
    write(tmp_path / "images/003.png", "not an image")
    with served(queries, tmp_path / "images", class_names=names) as page:
        tab = opened(browser, page)
        shows(tab, 1)
        for typed in ("12", "u", "z", "n", "?"):
            tab.keyboard.type(typed)
            assert tab.locator("#filter").input_value() == typed
            tab.locator("#filter").fill("")
        tab.keyboard.type("12")
        assert tab.locator(".class.first").inner_text().split() == ["2", "size", "12"]
        tab.keyboard.press("Enter")
        shows(tab, 2)
        assert answers(page)[:2] == ["size 12", ""]
        tab.keyboard.type("zz")  # the page has put the focus here, so it does not offer a new class
        tab.wait_for_selector("text=No class is called “zz”")
        tab.keyboard.press("Enter")
        tab.keyboard.press("Escape")
        tab.keyboard.press("1")  # outside the field, keys answer
        shows(tab, 3)
        tab.locator("#undo").click()
        shows(tab, 2)
        tab.keyboard.type("size 1")
        tab.keyboard.press("Enter")
        shows(tab, 3)
        tab.keyboard.type("zz")  # in the field again
        tab.locator("#filter").click()
        tab.keyboard.type("z")
        tab.wait_for_selector("text=New class “zzz”")
        tab.locator("#filter").fill("")
        tab.keyboard.press(" ")  # to the image that cannot be shown
        tab.wait_for_selector("#unreadable:has-text('Press Esc and u')")
        assert answers(page)[:3] == ["size 12", "size 1", ""]


def test_with_a_key_for_every_class_the_keys_answer_again_after_the_field(browser: Any, tmp_path: Path) -> None:
    names = [f"kind-{number:03d}" for number in range(20)]
    with served(draw_list(tmp_path), tmp_path / "images", class_names=names) as page:
        tab = opened(browser, page)
        shows(tab, 1)
        tab.keyboard.type("/012")
        tab.keyboard.press("Enter")
        shows(tab, 2)
        tab.keyboard.press("z")
        assert tab.locator("#scale").inner_text() != "Zoom"
        tab.keyboard.press("2")
        shows(tab, 3)
        assert answers(page)[:3] == ["kind-012", "kind-001", ""]


def test_names_cannot_become_part_of_the_page(browser: Any, tmp_path: Path) -> None:
    image = '"><img src=x onerror=alert(1)>.png'
    queries = draw_list(tmp_path, 0, image, "a&b#c?d%2e.png", "é ü.png")
    name = "<img src=x onerror=alert(2)>"
    with served(queries, tmp_path / "images", class_names=[name, "{{7*7}}"]) as page:
        tab = opened(browser, page)
        assert tab.locator("#name").inner_text() == image
        assert tab.locator(".class .what").all_inner_texts() == [name, "{{7*7}}"]
        press(tab, "12")
        tab.keyboard.press("1")
        tab.wait_for_selector("#end:not([hidden])")
        assert tab.problems == []
        assert answers(page) == [name, "{{7*7}}", name]

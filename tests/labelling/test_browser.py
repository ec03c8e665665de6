"""The labelling page in a real browser, as people use it."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dfal_cli.steps.label.command import label
from dfal_cli.steps.label.options import LabelOptions
from dfal_cli.system.reporting import Silent
from dfal_cli.tables import read_labels
from tests.conftest import write
from tests.labelling.browser import chromium
from tests.labelling.serving import TOKEN, Served, draw_list, labels_in, served
from tests.reliability.processes import wait_until

CLASSES = ["boot", "hat", "shoe"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Served]:
    """The page of a list of twelve images."""
    with served(draw_list(tmp_path), tmp_path / "images", class_names=CLASSES) as page:
        yield page


def opened(browser: Any, page: Served | str, **context: Any) -> Any:
    """A tab that shows the page. An error in the page, or a dialog, fails the test."""
    tab = browser.new_context(viewport={"width": 1100, "height": 700}, **context).new_page()
    tab.problems = []
    tab.on("pageerror", lambda error: tab.problems.append(str(error)))
    tab.on("dialog", lambda dialog: (tab.problems.append(dialog.message), dialog.dismiss()))
    tab.set_default_timeout(30_000)
    tab.goto(page if isinstance(page, str) else page.address)
    tab.wait_for_selector("#photo img, #end:not([hidden])")
    return tab


def shows(tab: Any, number: int) -> None:
    """Wait until the page shows the image with this number, counted from 1."""
    tab.wait_for_selector(f'#photo img[alt^="Image {number} of"]')


def press(tab: Any, keys: str, start: int = 1) -> None:
    """Press keys one after another, each when the next image is there."""
    for place, key in enumerate(keys, start):
        shows(tab, place)
        tab.keyboard.press(key)
    shows(tab, start + len(keys))


def asks_the_server(tab: Any) -> None:
    """Let the page ask now what others have done, as it does every two seconds and when the person returns to it."""
    tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def answers(page: Served) -> list[str]:
    return labels_in(page.session.board._queries.path)


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


def test_two_people_see_each_others_answers_and_conflicts(browser: Any, here: Served) -> None:
    one, other = opened(browser, here), opened(browser, here)
    shows(one, 1)
    shows(other, 2)  # the first image is being looked at
    other.keyboard.press("ArrowLeft")
    shows(other, 1)
    one.keyboard.press("1")
    one.wait_for_selector("#recent button")
    other.keyboard.press("2")
    other.wait_for_selector("text=Two different answers")
    assert answers(here)[0] == "boot"
    asks_the_server(one)
    one.wait_for_selector("#open-conflicts:not([hidden])")
    other.get_by_role("button", name="hat your answer").click()
    other.wait_for_selector("#open-conflicts", state="hidden")
    assert answers(here)[0] == "hat"
    asks_the_server(one)
    one.wait_for_selector("#recent .others")
    one.wait_for_selector("#open-conflicts", state="hidden")
    assert one.problems == other.problems == []


def test_two_people_answer_a_list_together(browser: Any, here: Served) -> None:
    people = {"1": opened(browser, here), "2": opened(browser, here)}
    given: list[str] = []
    while len(given) < 12:
        for key, tab in people.items():
            before = tab.locator("#photo img").get_attribute("alt") if len(given) < 12 else None
            if before:
                tab.keyboard.press(key)
                given.append(CLASSES[int(key) - 1])
                tab.wait_for_selector(f"#photo img:not([alt='{before}']), #end:not([hidden]), dialog[open]")
    assert sorted(answers(here)) == sorted(given)
    assert here.session.conflicts == {}


def test_everything_works_while_the_server_is_away(browser: Any, tmp_path: Path) -> None:
    queries = draw_list(tmp_path)
    with served(queries, tmp_path / "images", class_names=CLASSES) as page:
        tab = opened(browser, page)
        press(tab, "1")
        tab.wait_for_load_state("networkidle")
    tab.keyboard.press("2")
    tab.wait_for_selector("#trouble:has-text('Not saved yet')")
    shows(tab, 2)
    with served(queries, tmp_path / "images", port=page.port):
        shows(tab, 3)
        tab.wait_for_selector("#trouble", state="hidden")
        assert labels_in(queries)[:3] == ["boot", "hat", ""]


def test_after_a_kill_the_page_says_which_answer_may_not_be_saved(browser: Any, tmp_path: Path) -> None:
    queries = draw_list(tmp_path)
    with served(queries, tmp_path / "images", class_names=CLASSES) as page:
        tab = opened(browser, page)
        press(tab, "1")
        tab.wait_for_load_state("networkidle")
    tab.keyboard.press("2")
    tab.wait_for_selector("#trouble:has-text('Not saved yet')")
    with served(queries, tmp_path / "images", port=page.port, token="another") as page:
        tab.wait_for_selector("#trouble:has-text('started again')")
        with tab.expect_response("**/changes?*"):
            asks_the_server(tab)
        assert "The last answer, to 001.png, may not be saved" in tab.locator("#trouble").inner_text()
    assert labels_in(queries)[:2] == ["boot", ""]


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
        tab.keyboard.press("Enter")
        tab.wait_for_selector("text=None left")
        assert answers(page) == ["", "hat", "", "", "", "hat", "", "hat", "", "hat", "", "hat"]
        tab.keyboard.press("Backspace")
        tab.wait_for_selector("text=6 unanswered are probably hat")
        tab.keyboard.press("Escape")
        shows(tab, 1)
        assert set(answers(page)) == {""}


def test_zooming_loads_the_original_upright(browser: Any, tmp_path: Path) -> None:
    queries = draw_list(tmp_path, 2)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (6000, 3000)).save(tmp_path / "images/000.png", "JPEG", exif=exif)
    with served(queries, tmp_path / "images", class_names=CLASSES) as page:
        tab = opened(browser, page)
        size = "img => [img.naturalWidth, img.naturalHeight]"
        width, height = tab.locator("#photo img").evaluate(size)
        assert height == 2 * width < 6000
        tab.mouse.move(300, 300)
        tab.mouse.wheel(0, -1500)
        wait_until(lambda: tab.locator("#photo img").evaluate(size) == [3000, 6000])
        tab.keyboard.press("z")
        assert tab.locator("#scale").inner_text() == "Zoom"


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


def test_without_a_mouse_everything_has_a_name_and_a_place(browser: Any, here: Served) -> None:
    tab = opened(browser, here)
    shows(tab, 1)
    for button in tab.get_by_role("button").all():
        assert button.get_attribute("aria-label") or button.inner_text().strip()
    for _ in range(20):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.dataset.name") == "shoe":
            break
    outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    tab.keyboard.press("Enter")
    shows(tab, 2)
    assert tab.evaluate("document.activeElement.dataset.name") == "shoe"
    tab.keyboard.press("?")
    assert tab.get_by_role("dialog").get_attribute("aria-labelledby") == "help-title"
    tab.keyboard.press("Escape")
    tab.keyboard.press("1")
    shows(tab, 3)
    assert answers(here)[:3] == ["shoe", "boot", ""]
    assert tab.get_by_role("progressbar").get_attribute("aria-valuenow") == "2"


def test_a_touch_screen_is_enough(browser: Any, here: Served) -> None:
    tab = opened(browser, here, has_touch=True, is_mobile=True)
    tab.set_viewport_size({"width": 390, "height": 800})
    shows(tab, 1)
    tab.locator("#classes").get_by_role("button", name="hat").tap()
    shows(tab, 2)
    tab.get_by_role("button", name="Undo").tap()
    shows(tab, 1)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    finger = tab.context.new_cdp_session(tab)
    for kind, points in (("Start", [(300, 200)]), ("Move", [(200, 205)]), ("Move", [(100, 205)]), ("End", [])):
        touches = [{"x": x, "y": y} for x, y in points]
        finger.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": touches})
    shows(tab, 2)
    assert set(answers(here)) == {""}


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


class Told(Silent):
    """Keeps the address that a command says."""

    def __init__(self) -> None:
        super().__init__()
        self.address = ""
        self.is_up = threading.Event()

    def note(self, text: str) -> None:
        if match := re.search(r"label in the browser: (\S+)", text):
            self.address = match[1]
            self.is_up.set()


def test_at_the_end_the_answers_are_merged(browser: Any, in_tmp: Path) -> None:
    queries = draw_list(in_tmp, 3)
    options = LabelOptions(
        queries=queries, images=in_tmp / "images", class_names=CLASSES, merge=Path("labels.csv"), browser=False
    )  # fmt: skip
    told, results = Told(), []
    command = threading.Thread(target=lambda: results.append(label(options, told)))
    command.start()
    assert told.is_up.wait(20)
    tab = opened(browser, told.address)
    assert TOKEN not in told.address
    press(tab, "12")
    tab.keyboard.press("u")
    tab.wait_for_selector("text=All 3 answered")
    assert not Path("labels.csv").exists()
    tab.keyboard.press("Enter")
    tab.wait_for_selector("text=Finished")
    command.join(20)
    assert list(read_labels(Path("labels.csv"))["label"]) == ["boot", "hat", "__skip__"]
    assert results[0].status == "done"
    assert results[0].counts == {"queries": 3, "answered": 3, "now": 3, "skipped": 1, "left": 0, "conflicts": 0}


def test_long_names_and_the_end_fit_on_a_small_screen(browser: Any, tmp_path: Path) -> None:
    names = [f"longsleeve-with-{word}-{number}" for number in range(7) for word in ("hood", "long zip", "stripes")]
    queries = draw_list(tmp_path, 16)
    write(queries, "image,label", *(f"{n:03d}.png,{names[n]}" for n in range(14)), "014.png,", "015.png,")
    with served(queries, tmp_path / "images", class_names=names) as page:
        tab = opened(browser, page)
        tab.set_viewport_size({"width": 900, "height": 560})
        is_cut = "each => each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight"
        for part in (".class", ".class .what"):
            assert tab.locator(part).count() == 21
            assert not any(each.evaluate(is_cut) for each in tab.locator(part).all())
        strip = tab.locator("#recent")
        assert strip.locator("button").count() == 10
        assert strip.evaluate("each => each.scrollWidth <= each.clientWidth")
        press(tab, "1", 15)
        tab.keyboard.press("1")
        tab.wait_for_selector("text=All 16 answered")
        for part in ("#end .tick", "#end button.primary"):
            tab.locator(part).scroll_into_view_if_needed()
            top = tab.locator(part).bounding_box()["y"]
            assert tab.locator("#stage").bounding_box()["y"] <= top < 560


def test_the_first_zoom_of_a_panorama_fills_the_stage(browser: Any, tmp_path: Path) -> None:
    queries = draw_list(tmp_path, 2)
    Image.new("RGB", (2000, 100)).save(tmp_path / "images/000.png")
    with served(queries, tmp_path / "images", class_names=CLASSES) as page:
        tab = opened(browser, page)
        heights = "['#photo img', '#stage'].map(each => document.querySelector(each).getBoundingClientRect().height)"
        image, stage = tab.evaluate(heights)
        assert image < stage / 5
        tab.keyboard.press("z")
        image, stage = tab.evaluate(heights)
        assert image == pytest.approx(stage, abs=2)

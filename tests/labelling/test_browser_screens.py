"""The labelling page in a real browser: zoom, touch, small screens, and without a mouse."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import write
from tests.labelling.serving import Served, draw_list, served
from tests.labelling.tabs import CLASSES, answers, opened, press, shows
from tests.reliability.processes import wait_until


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


@pytest.mark.parametrize(("width", "height", "least"), [(375, 700, 330), (700, 375, 250)])
def test_on_a_phone_the_photo_is_large_and_nothing_lies_over_it_or_out_of_reach(
    browser: Any, tmp_path: Path, width: int, height: int, least: int
) -> None:
    queries = draw_list(tmp_path)
    write(queries, "image,label,predicted", *(f"{number:03d}.png,,hat" for number in range(12)))
    names = ["dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt", "t-shirt"]
    with served(queries, tmp_path / "images", class_names=names) as page:
        tab = opened(browser, page, has_touch=True, is_mobile=True)
        tab.set_viewport_size({"width": width, "height": height})
        shows(tab, 1)
        photo = tab.locator("#stage").bounding_box()
        assert photo["height"] >= least
        buttons = [each for each in tab.get_by_role("button").all() if each.is_visible()]
        assert len(buttons) == len(names) + 9
        for box in (button.bounding_box() for button in buttons):
            assert box["x"] >= 0 and box["x"] + box["width"] <= width
            assert box["y"] >= 0 and box["y"] + box["height"] <= height
            assert min(box["width"], box["height"]) >= 40
            beside = box["x"] >= photo["x"] + photo["width"]
            assert beside or box["y"] >= photo["y"] + photo["height"] or box["y"] + box["height"] <= photo["y"]
        tab.get_by_role("button", name="Prediction").tap()
        assert tab.locator("#guess").inner_text() == "predicted: hat"
        tab.get_by_role("button", name="Next image").tap()
        shows(tab, 2)

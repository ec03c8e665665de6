"""Tabs of a real browser that show the labelling page, and what people do in them."""

from typing import Any

from tests.labelling.serving import Served, labels_in

CLASSES = ["boot", "hat", "shoe"]


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

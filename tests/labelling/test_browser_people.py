"""The labelling page in a real browser: several people, a server that goes away, and the end."""

import re
import threading
from pathlib import Path
from typing import Any

from dfal_cli.steps.label.command import label
from dfal_cli.steps.label.options import LabelOptions
from dfal_cli.system.reporting import Silent
from dfal_cli.tables import read_labels
from tests.labelling.serving import TOKEN, Served, draw_list, labels_in, served
from tests.labelling.tabs import CLASSES, answers, asks_the_server, opened, press, shows


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
        queries=queries, images=in_tmp / "images", class_names=CLASSES, browser=False,
        labels=[Path("labels.csv")], merge=Path("labels.csv"),
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

"""kill -9 of the labelling server at random moments: every answer that the page was told of is in the list."""

import http.client
import json
import random
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dfal_cli.steps.label.options import LabelOptions
from tests.labelling.commands import Running, running
from tests.labelling.serving import draw_list, labels_in

CLASSES = ["boot", "hat", "shoe"]
DEAD = (OSError, http.client.HTTPException)


def expected(number: int) -> str:
    """The answer that the person gives to an image."""
    return CLASSES[number % len(CLASSES)]


def kill_soon(page: Running, generator: random.Random, longest: float) -> threading.Timer:
    """Kill the server at a random moment."""
    timer = threading.Timer(generator.uniform(0, longest), page.kill)
    timer.start()
    return timer


def label_with_kills(
    folder: Path, images: int, kills: int, longest: float, work: Callable[[str, Callable[[int], None]], None]
) -> None:
    """Label a list while the server is killed and started again; `work` labels until the server is gone."""
    queries = draw_list(folder, images)
    options = LabelOptions(queries=queries, images=folder / "images", class_names=CLASSES, browser=False)
    generator = random.Random(images)
    done = 0

    def told(number: int) -> None:
        """The page shows that the answer to this image was saved."""
        nonlocal done
        assert number == done, "an image was asked about twice, or left out"
        done += 1
        assert labels_in(queries)[number] == expected(number)

    for _ in range(kills):
        with running(options) as page:
            timer = kill_soon(page, generator, longest)
            work(page.address, told)
            timer.join()
        found = labels_in(queries)
        answered = len([label for label in found if label])
        assert done <= answered <= done + 1  # the last answer may be saved before the page was told
        assert found == [expected(number) for number in range(answered)] + [""] * (images - answered)
        done = answered
    with running(options) as page:
        work(page.address, told)
    assert labels_in(queries) == [expected(number) for number in range(images)]
    files = {path.name for path in folder.iterdir()} - {"queries.csv.times.csv"}  # only the page tells its times
    assert files == {"images", "queries.csv", "queries.csv.keys.csv"}


def by_requests(address: str, told: Callable[[int], None]) -> None:
    """Label as the page does: one image after another, beginning with the first that is not answered."""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
    with_type = {"Content-Type": "application/json", "Origin": origin}
    try:
        with urllib.request.urlopen(f"{address}queue?person=me&after=-1&count=1", timeout=20) as reply:
            rows = json.load(reply)["rows"]
        while rows:
            answers = [{"image": rows[0]["image"], "label": expected(rows[0]["row"]), "before": ""}]
            body = json.dumps({"person": "me", "answers": answers, "after": rows[0]["row"], "count": 1}).encode()
            sent = urllib.request.Request(f"{address}answers", body, with_type)
            with urllib.request.urlopen(sent, timeout=20) as reply:
                next_rows = json.load(reply)["queue"]
            told(rows[0]["row"])
            rows = next_rows
    except DEAD:
        return


def test_no_answer_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    label_with_kills(tmp_path, images=60, kills=3, longest=0.2, work=by_requests)


@pytest.mark.long
def test_200_images_in_a_browser_with_20_kills(browser: Any, tmp_path: Path) -> None:
    def in_the_browser(address: str, told: Callable[[int], None]) -> None:
        tab = browser.new_page()
        try:
            tab.goto(address)
            while True:
                tab.wait_for_selector("#photo img, #end:not([hidden])", timeout=3000)
                if tab.locator("#end:not([hidden])").count():
                    break
                number = int(str(tab.locator("#photo img").get_attribute("alt")).split()[1]) - 1
                tab.keyboard.press(str(1 + number % len(CLASSES)))
                after = f'#photo img:not([alt^="Image {number + 1} of"]), #end:not([hidden])'
                tab.wait_for_selector(after, timeout=3000)
                told(number)
        except Exception as error:
            if "Timeout" not in str(error) and "ERR_" not in str(error):
                raise
        finally:
            tab.close()

    began = time.monotonic()
    label_with_kills(tmp_path, images=200, kills=20, longest=4.0, work=in_the_browser)
    print(f"200 images, 20 kills, {time.monotonic() - began:.0f} s")

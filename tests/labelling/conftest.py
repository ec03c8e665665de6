"""A browser for all tests of the labelling page, and a page to look at."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.labelling.browser import chromium
from tests.labelling.serving import Served, draw_list, served
from tests.labelling.tabs import CLASSES


@pytest.fixture(scope="package")
def started() -> Iterator[Any]:
    """One browser for all files of this folder: it takes longer to start than most tests need."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(started: Any) -> Iterator[Any]:
    """The browser without tabs."""
    yield started
    for context in started.contexts:
        context.close()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Served]:
    """The page of a list of twelve images."""
    with served(draw_list(tmp_path), tmp_path / "images", class_names=CLASSES) as page:
        yield page

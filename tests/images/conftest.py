"""A folder of images to be cached."""

from pathlib import Path

import pytest

from tests.conftest import draw_folder


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """images/ with 40 PNGs, the working directory."""
    return draw_folder(in_tmp)

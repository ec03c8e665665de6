"""Lists that go to a labelling tool and come back, for the tests of each tool."""

import os
from pathlib import Path

import pytest

from tests.conftest import dfal, write
from tests.tables.tool_files import draw_images

IMAGES = ("a/0.png", "a/1.png", "b/0.png", "test/2.png", "ä b+c.png", "d/5.png")
ANSWERS = {"a/0.png": "circle", "a/1.png": "square, big", "b/0.png": "NA", "ä b+c.png": "circle"}


def tool(variable: str) -> str:
    """The program in an environment variable; skips the test without it."""
    program = os.environ.get(variable)
    if not program:
        pytest.skip(f"{variable} is not set: no such tool here")
    return program


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """Six images, a list of them, and a label of each class elsewhere."""
    draw_images(in_tmp / "img", IMAGES)
    write(in_tmp / "queries.csv", "rank,image,label", *(f"{rank},{image}," for rank, image in enumerate(IMAGES, 1)))
    write(in_tmp / "classes.csv", "image,label", "x.png,circle", 'y.png,"square, big"', "z.png,NA")
    return in_tmp


def merged(*arguments: object) -> dict[str, str]:
    """The labels after the answers are merged into a new file."""
    from dfal_cli.tables import read_labels

    target = Path("merged.csv")
    target.unlink(missing_ok=True)
    ended = dfal("merge", "--labels", target, "--class-names", "NA,circle,big", "--allow-new-classes", *arguments)
    assert ended.code == 0, ended.stderr
    table = read_labels(target)
    return dict(zip(table["image"], table["label"], strict=True))

"""Four images, a list of them, answers as Label Studio exports them, and `dfal merge` of all that."""

from pathlib import Path

import pytest

from tests.conftest import Ended, dfal, write
from tests.tables.tool_files import IMAGES, annotation, draw_images, task, write_json

LABELS = Path("labels.csv")


def merge(*arguments: object, queries: object = "queries.csv") -> Ended:
    """`dfal merge` into LABELS."""
    return dfal("merge", "--queries", queries, "--labels", LABELS, *arguments)


def labels() -> dict[str, str]:
    """The labels that are there then."""
    from dfal_cli.tables import read_labels

    table = read_labels(LABELS)
    return dict(zip(table["image"], table["label"], strict=True))


def answers(name: str, *given: tuple[str, ...], when: str = "2026-01-01") -> Path:
    """A Label Studio export: for each image the annotations, a day apart."""
    tasks = [task(n, f"?d=img/{image}", *(annotation(label, f"{when}T0{hour}") for hour, label in enumerate(said)))
             for n, (image, *said) in enumerate(given, 1)]  # fmt: skip
    return write_json(Path(name), tasks)


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """Four images, and a list of them without answers."""
    draw_images(in_tmp / "img")
    rows = [f"{rank},{image},,0.1," for rank, image in enumerate(IMAGES, 1)]
    write(in_tmp / "queries.csv", "rank,image,label,margin,twin", *rows)
    return in_tmp

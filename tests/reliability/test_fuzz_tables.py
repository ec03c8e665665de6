"""Fuzz of every table reader: whatever bytes a file holds, it is read or refused in a line or two, and nothing else."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfal_cli.cli.config import Key, read_config
from dfal_cli.errors import DfalError
from dfal_cli.tables import (
    read_csv,
    read_excluded,
    read_labelled_embeddings,
    read_labels,
    read_labels_files,
    read_pseudo_labels,
    read_queries,
    read_scores,
    to_csv,
)
from tests.conftest import write_margins
from tests.reliability.fuzzing import few, many, mutated

HUGE = 64 * 2**20
"""Bytes: what a reader may take for a file of a few kilobytes."""

TABLE = b"""rank,image,label,pseudo_label,twin,note\r
1,./=a.png,'=x,x,t/a.npy,"a, ""b""\r
c"\r
2,d/b.png,,y,,\r
3,c.png,__skip__,x,,-\r
"""
CONFIG = b"select:\n  count: 3\n  exclude: [a.csv, b.csv]\n  json: yes\ntrain: {epochs: '7'}\n"
KEYS = {"count": Key("count"), "exclude": Key("exclude", True), "json": Key("json", switch=True)}


def read_every_way(path: Path) -> None:
    """All readers of labels and lists, each of which may refuse the file."""
    readers: list[Callable[[], object]] = [
        lambda: read_labels(path),
        lambda: read_labels_files([path, path]),
        lambda: read_queries(path),
        lambda: read_excluded([path]),
        lambda: read_pseudo_labels([path], ("x", "y"), {"c.png"}),
    ]
    for reader in readers:
        or_refused(reader)


def or_refused(read: Callable[[], object]) -> None:
    """What is raised is one of dfal's own errors, and its message is for a person."""
    tracemalloc.start()
    try:
        read()
    except DfalError as error:
        message = str(error)
        assert len(message.splitlines()) <= 2, message
        assert len(message) < 2_000
        assert not set(message) & {"\0", "\x1b"}
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < HUGE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [few(100), many(10_000)])
def test_a_table_of_any_bytes_is_read_or_refused(folder: Path, size: settings) -> None:
    @size
    @given(content=st.binary(max_size=200) | mutated(TABLE) | mutated(TABLE.decode().encode("utf-16")))
    def check(content: bytes) -> None:
        read_every_way(written(folder / "a.csv", content))

    check()


@pytest.mark.parametrize("size", [few(60), many(10_000)])
def test_a_parquet_file_of_any_bytes_is_read_or_refused(folder: Path, size: settings) -> None:
    whole = write_margins(folder / "whole.parquet", folder, {f"{k}.png": k / 7 for k in range(9)}).read_bytes()

    @size
    @given(content=st.binary(max_size=200).map(lambda inner: b"PAR1" + inner + b"PAR1") | mutated(whole))
    def check(content: bytes) -> None:
        path = written(folder / "s.parquet", content)
        or_refused(lambda: read_scores(path, ("embedding", "bald")))
        or_refused(lambda: read_labelled_embeddings(path))

    check()


@pytest.mark.parametrize("size", [few(60), many(10_000)])
def test_scores_in_csv_of_any_bytes_are_read_or_refused(folder: Path, size: settings) -> None:
    table = write_margins(folder / "s.csv", folder, {"a.png": 0.1, "=b.png": None}).read_bytes()
    metadata = (folder / "s.csv.meta.json").read_bytes()
    values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), st.lists)
    odd = st.dictionaries(st.sampled_from([*json.loads(metadata), "nearest", "classes"]), values).map(
        lambda changed: json.dumps(json.loads(metadata) | changed).encode()
    )

    @size
    @given(content=mutated(table) | st.just(table), beside=mutated(metadata) | odd | st.just(metadata))
    def check(content: bytes, beside: bytes) -> None:
        written(folder / "s.csv.meta.json", beside)
        or_refused(lambda: read_scores(written(folder / "s.csv", content), ("embedding", "bald")))

    check()


@pytest.mark.parametrize("size", [few(100), many(10_000)])
def test_a_config_of_any_bytes_is_read_or_refused(folder: Path, size: settings) -> None:
    @size
    @given(content=st.binary(max_size=100) | st.text("{}[]&*!-:'\"? \n#x|>%@,").map(str.encode) | mutated(CONFIG))
    def check(content: bytes) -> None:
        or_refused(lambda: read_config(written(folder / "dfal.yaml", content), "select", KEYS, ["train", "select"]))

    check()


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
formulas = st.text("'=+-@ \t\r\n\";,x", max_size=6)


@pytest.mark.parametrize("size", [few(150), many(10_000)])
def test_any_text_in_any_column_comes_back_as_it_was_written(folder: Path, size: settings) -> None:
    import pandas as pd

    @size
    @given(rows=st.lists(st.tuples(texts | formulas, texts | formulas, texts), max_size=5))
    def check(rows: list[tuple[str, str, str]]) -> None:
        table = pd.DataFrame(
            [(f"d{number}.png", *row) for number, row in enumerate(rows)],
            columns=["image", "label", "pseudo_label", "note"], dtype=str,
        )  # fmt: skip
        path = written(folder / "r.csv", to_csv(table).encode())
        assert read_csv(path, ("image", "label")).values.tolist() == table.values.tolist()

    check()


@pytest.mark.parametrize("size", [few(150), many(10_000)])
def test_any_path_that_a_folder_can_hold_comes_back_as_it_was_written(folder: Path, size: settings) -> None:
    import pandas as pd

    name = (texts | formulas).map(lambda text: text.replace("/", "")).filter(lambda text: text.strip(".") != "")

    @size
    @given(images=st.lists(st.lists(name, min_size=1, max_size=3).map("/".join), unique=True, max_size=5))
    def check(images: list[str]) -> None:
        path = written(folder / "p.csv", to_csv(pd.DataFrame({"image": images, "label": "x"}, dtype=str)).encode())
        assert read_labels(path)["image"].tolist() == images

    check()

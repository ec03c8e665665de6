"""File names that no table, page or file system likes: they go through the whole chain and come back as they were."""

import csv
import os
import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from dfal_cli.system.reporting import printable
from dfal_cli.tables import read_csv, read_scores
from dfal_cli.tables.twins import twin_name
from tests.conftest import Ended, dfal, dfal_process, write
from tests.page import Page

NFC, NFD = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
NAMES = [
    "a b.png", " .png", "it's.png", '".png', '"a","b".png', "a,b.png", "a;b.png", "a\nb.png", "a\r\nb.png",
    "\r.png", "\t.png", "\x01\x1b[31m\x7f.png", "\x85\u2028.png", "\ufeff.png", "=1+1.png", "-rf.png",
    "--help.png", "+.png", "@.png", "'=1.png", "=folder/-.png", "folder/=.png", "a\\b.png",
    "\\.png", "NA.png", "null.png", "007.png", "#.png", "%20%00.png",
    "$HOME.png", "`id`.png", "*.png", "[a].png", "<b>&amp;.png", "🐈‍⬛.png", "犬.png", NFC, NFD,
    "A.png", "a.png", "A.PNG", "x.png", "x.png.npy/y.png", f"{'n' * 251}.png", f"{'é' * 125}.png",
    f"{'f' * 255}/{'n' * 251}.png",
]  # fmt: skip
HIDDEN = [".png", "..png", "...png", ".hidden.png", ".hidden/.png.png"]
"""Images of these names are there as well, and are in none of what a round makes."""

NOT_UTF8 = {b"\xff.png": "\\xff.png", b"caf\xe9/a.png": "caf\\xe9/a.png"}


class Chain(NamedTuple):
    """What a round with these images left."""

    root: Path
    ended: dict[str, Ended]


@pytest.fixture(scope="module")
def chain(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """images/ with an image of each name, bad/ with one of each that is none, and all that a round makes of them."""
    root = tmp_path_factory.mktemp("names")
    generator = np.random.default_rng(0)
    for number, name in enumerate([*NAMES, *HIDDEN]):
        for folder in ("images", "images/bad"):
            (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.normal(60 + 130 * (number % 2), 25, (16, 16)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / name, "PNG")
        (root / "images" / "bad" / name).write_bytes(b"")
    for raw in NOT_UTF8:
        path = root / "images" / os.fsdecode(raw)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    score = ("score", "--images", root / "images", "--checkpoint", trained / "model.safetensors", "--device", "cpu",
             "--max-unreadable", 1, "--twins", len(NAMES))  # fmt: skip
    ended = {out: dfal(*score, "--out", root / out) for out in ("s.csv", "s.parquet")}
    ended["q.csv"] = dfal("select", "--scores", root / "s.csv", "--count", 100, "--out", root / "q.csv",
                          "--preview", root / "p.html")  # fmt: skip
    answered = read_csv(root / "q.csv", ["image"])
    answered["label"] = ["dark" if number % 2 else "light" for number in range(len(answered))]
    with (root / "answers.csv").open("w", encoding="utf-8", newline="") as file:  # as another program writes it
        csv.writer(file).writerows([answered.columns, *answered.to_numpy().tolist()])
    ended["labels.csv"] = dfal("merge", "--queries", root / "answers.csv", "--labels", root / "labels.csv",
                               "--images", root / "images")  # fmt: skip
    ended["m.safetensors"] = dfal("train", "--images", root / "images", "--labels", root / "labels.csv", "--out",
                                  root / "m.safetensors", "--epochs", 1, "--device", "cpu", "--json")  # fmt: skip
    return Chain(root, ended)


def images_in(path: Path) -> list[str]:
    """The images of a CSV as any program reads them, the ./ that is put in front of some taken away."""
    with path.open(encoding="utf-8", newline="") as file:
        return sorted(row["image"].removeprefix("./") for row in csv.DictReader(file))


def test_every_step_takes_them(chain: Chain) -> None:
    assert {out: ended.code for out, ended in chain.ended.items()} == dict.fromkeys(chain.ended, 0), chain.ended


@pytest.mark.parametrize("table", ["s.csv", "q.csv", "labels.csv"])
def test_a_table_holds_every_name_once_and_as_it_is(chain: Chain, table: str) -> None:
    assert images_in(chain.root / table) == sorted(NAMES)
    assert sorted(read_csv(chain.root / table, ["image"])["image"]) == sorted(NAMES)


def test_parquet_holds_the_same_names(chain: Chain) -> None:
    assert list(read_scores(chain.root / "s.parquet").table["image"]) == sorted(NAMES)


def test_no_spreadsheet_runs_a_name(chain: Chain) -> None:
    for table in ("s.csv", "q.csv", "labels.csv", "s.csv.unreadable.csv"):
        with (chain.root / table).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                assert row["image"][0] not in "=+-@"
                assert not row.get("twin") or row["twin"][0] not in "=+-@"


def test_what_cannot_be_read_is_listed_under_its_name(chain: Chain) -> None:
    bad = [f"bad/{name}" for name in NAMES]
    assert images_in(chain.root / "s.csv.unreadable.csv") == sorted([*bad, *NOT_UTF8.values()])


def test_a_name_that_is_not_utf_8_is_listed_in_print_and_stops_nothing(chain: Chain) -> None:
    reasons = read_csv(chain.root / "s.csv.unreadable.csv", ["image"]).set_index("image")["reason"]
    for shown in NOT_UTF8.values():
        assert reasons[shown] == "its name is not UTF-8; rename it"


def test_each_has_a_twin_of_its_own_which_training_finds(chain: Chain) -> None:
    labels = read_csv(chain.root / "labels.csv", ["image"]).set_index("image")["twin"]
    kept = [twin for twin in labels if twin]
    assert len(set(kept)) == len(kept) > len(NAMES) / 2
    assert all((chain.root / twin).is_file() for twin in kept)
    assert chain.ended["m.safetensors"].json["counts"]["twins"] == len(kept)
    assert len({twin_name(name).encode() for name in NAMES}) == len(NAMES)


def test_the_page_shows_every_name_and_runs_none(chain: Chain) -> None:
    page = Page(chain.root / "p.html")
    paths = {attributes.get("title") for tag, attributes in page.tags if attributes.get("class") == "name"}
    assert set(map(printable, NAMES)) <= paths
    shown = {attributes.get("alt") for tag, attributes in page.tags if tag == "img"}
    assert {printable(name).rpartition("/")[2] for name in NAMES} <= shown
    assert "<b>" not in page.source


def test_messages_show_a_name_on_one_line_without_control_characters(chain: Chain) -> None:
    for ended in chain.ended.values():
        assert all(line.isprintable() for line in ended.stderr.splitlines())


def test_messages_about_a_name_stay_on_one_line(chain: Chain, tmp_path: Path) -> None:
    labels = tmp_path / "l.csv"
    for name in ("bad/\x01\x1b[31m\x7f.png", "bad/a\nb.png", "gone\x1b\n.png"):
        with labels.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["image", "label"], [NFC, "a"], ["A.png", "b"], [name, "a"]])
        test = write(tmp_path / "t.csv", "image,label", "a.png,a")
        for command in (
            ("train", "--images", chain.root / "images", "--labels", labels, "--out", tmp_path / "m.safetensors"),
            ("simulate", "--images", chain.root / "images", "--labels", labels, "--test", test, "--out", tmp_path / "s",
             "--initial", 1, "--count", 1, "--budget", 2, "--device", "cpu", "--strategies", "random"),
            ("merge", "--images", chain.root / "images", "--queries", labels, "--labels", tmp_path / "new.csv"),
        ):  # fmt: skip
            ended = dfal(*command)
            lines = ended.stderr.splitlines()
            assert all(line.isprintable() for line in lines)
            if name.startswith("gone") and command[0] != "merge":  # a missing image is a warning
                assert ended.code == 0, ended.stderr
                assert any(repr(name) in line for line in lines)
            elif command[0] != "merge" or name.startswith("gone"):
                assert ended.code == 3
                assert repr(name) in lines[-1]


@pytest.mark.parametrize("place", ["root", "output", "working directory"])
def test_what_is_not_utf_8_where_a_file_would_have_to_name_it_is_a_usage_error(in_tmp: Path, place: str) -> None:
    odd = os.fsdecode(b"caf\xe9")
    here = in_tmp / odd if place == "working directory" else in_tmp
    root, out = odd if place == "root" else "images", f"{odd}.csv" if place == "output" else "q.csv"
    (here / root).mkdir(parents=True)
    (here / root / "a.png").write_bytes(b"")
    ended = dfal_process(
        "select", "--images", root, "--strategy", "random", "--count", 1, "--out", out, cwd=here,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert (ended.code, ended.stdout) == (2, "")
    assert "not UTF-8" in ended.stderr
    assert "caf\\udce9" in ended.stderr
    assert not (here / out).exists()

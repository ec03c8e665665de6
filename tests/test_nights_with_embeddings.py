"""The nightly script with EMBED: a backbone embeds the images, and a head on the embeddings is trained each round."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from dfal_cli.schemas import SKIP
from dfal_cli.strategies import STRATEGIES
from dfal_cli.tables.embeddings import read_embeddings
from tests.conftest import dfal, write, write_margins
from tests.nights import Nights, labels_of
from tests.steps.test_select_again import as_csv

BACKBONE = """
from torch import nn
def tiles(input_shape):
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
"""


def of_two_classes(table: pd.DataFrame) -> str:
    """The list with answers of both classes, whichever images it holds."""
    return as_csv(table.assign(label=["dark", "light", "dark"]))


@pytest.fixture
def nights(in_tmp: Path) -> Nights:
    """Nothing has been asked yet."""
    write(in_tmp / "tiles_of_nights.py", BACKBONE)
    return Nights(in_tmp, EMBED="embeddings.parquet", BACKBONE="tiles_of_nights:tiles")


def test_the_first_list_is_typical_and_later_ones_follow_a_head(nights: Nights) -> None:
    first = nights("--quiet")
    assert (first.code, first.stderr) == (0, "")
    assert first.stdout.splitlines()[-1].startswith("waiting for 3 answers in rounds/000/queries.csv")
    nights.answer(0, of_two_classes)
    second = nights("--quiet")
    assert second.code == 0, second.stderr
    assert "embeddings.parquet" in first.stdout
    assert "embeddings.parquet" not in second.stdout, "it has not changed"
    assert "round 1: 3 labels, test accuracy " in second.stdout
    queries = pd.read_csv("rounds/001/queries.csv")
    assert len(queries) == 3
    assert not set(queries["image"]) & set(labels_of(1))
    assert Path("rounds/001/preview.html").exists()


def test_a_later_night_embeds_images_that_came_since_and_asks_about_them(nights: Nights) -> None:
    nights()
    nights.answer(0, of_two_classes)
    shutil.copy("images/030.png", "images/new.png")
    ended = nights("--quiet")
    assert (ended.code, ended.stdout.count("embeddings.parquet\n")) == (0, 1)
    assert "new.png" in read_embeddings(Path("embeddings.parquet")).images


def test_a_night_that_waits_for_answers_embeds_nothing(nights: Nights) -> None:
    nights()
    before = Path("embeddings.parquet").stat().st_mtime_ns
    shutil.copy("images/030.png", "images/new.png")
    assert "waiting for 3 answers" in nights().stdout
    assert Path("embeddings.parquet").stat().st_mtime_ns == before


def test_embeddings_of_another_backbone_are_not_overwritten(nights: Nights) -> None:
    nights()
    nights.answer(0, of_two_classes)
    write(Path("fewer_tiles_of_nights.py"), BACKBONE.replace("4", "2"))
    before = Path("embeddings.parquet").read_bytes()
    ended = nights(BACKBONE="fewer_tiles_of_nights:tiles")
    assert (ended.code, "choose another --out" in ended.stderr) == (2, True)
    assert Path("embeddings.parquet").read_bytes() == before
    ended = nights(BACKBONE="fewer_tiles_of_nights:tiles", EMBED="other.parquet")
    assert ended.code == 0, ended.stderr
    assert read_embeddings(Path("other.parquet")).vectors.shape[1] == 12


def test_without_a_test_set_the_accuracy_is_said_to_be_that_on_labelled_images(nights: Nights) -> None:
    nights(TEST="", COUNT=10)
    nights.answer(0, as_csv)
    first = nights("--quiet", TEST="", COUNT=10)
    accuracy = r"accuracy \d+\.\d % \(\d+ to \d+, \d+ images\) on the labelled images"
    assert re.search(rf"^round 1: 10 labels, {accuracy}(;|$)", first.stdout, re.MULTILINE), first.stdout
    nights.answer(1, as_csv)
    second = nights("--quiet", TEST="", COUNT=10)
    assert re.search(rf"^round 2: 20 labels, {accuracy}, which are harder than the rest(;|$)", second.stdout, re.M)
    assert "points since" not in second.stdout, "the images of the two rounds differ"


def test_a_random_test_set_is_proposed_once_and_can_be_made_as_proposed(nights: Nights) -> None:
    nights(TEST="")
    nights.answer(0, of_two_classes)
    (proposed,) = re.findall(r"set random ones aside: dfal (.*); fill in the labels", nights("--quiet", TEST="").stdout)
    assert "set random ones aside" not in nights("--quiet", TEST="").stdout
    Path("test.csv").unlink()
    assert dfal(*proposed.replace("200", "8").split()).code == 0
    test = pd.read_csv("test.csv", dtype=str)
    assert not set(test["image"]) & (set(labels_of(1)) | set(pd.read_csv("rounds/001/queries.csv")["image"]))
    test.assign(label=test["image"].map(nights.oracle)).to_csv("test.csv", index=False)
    nights.answer(1, as_csv)
    ended = nights("--quiet", TEST="test.csv")
    assert "round 2: 6 labels, test accuracy " in ended.stdout, ended.stderr
    assert not set(test["image"]) & set(pd.read_csv("rounds/002/queries.csv")["image"])


def test_labelled_images_that_were_deleted_are_warned_of_once_a_night_and_unusable_ones_never(nights: Nights) -> None:
    nights(COUNT=6)
    gone, unusable, *_ = (image for image in nights.answer(0, as_csv) if nights.oracle[image] == "dark")
    nights.answer(0, lambda table: as_csv(table.assign(label=table["label"].mask(table["image"] == unusable, SKIP))))
    for image in (gone, unusable):
        Path("images", image).unlink()
    write(Path("rounds/001/labels.csv"), *Path("rounds/000/queries.csv").read_text().splitlines())
    ended = nights("--quiet")
    assert ended.code == 0, ended.stderr
    assert len(pd.read_csv("rounds/001/queries.csv")) == 3
    about = [line for line in ended.stderr.splitlines() if "not in" in line or "no embedding" in line]
    assert len(about) == 1, about
    assert f"the first: {gone}" in about[0]
    assert about[0].endswith("training leaves them out")


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "bald"])
def test_every_strategy_but_bald_can_follow_a_head(nights: Nights, name: str) -> None:
    nights()
    nights.answer(0, of_two_classes)
    ended = nights(STRATEGY=name)
    assert ended.code == 0, ended.stderr
    assert len(pd.read_csv("rounds/001/queries.csv")) == 3


def test_without_a_test_set_a_part_of_each_list_is_random_and_measures_the_pool(nights: Nights) -> None:
    settings = {"TEST": "", "COUNT": 10}
    nights(**settings)
    nights.answer(0, as_csv)
    nights("--quiet", **settings)
    marks = pd.read_csv("rounds/001/queries.csv", dtype=str, keep_default_na=False)["control"]
    assert sorted(marks) == [""] * 9 + ["1"]
    nights.answer(1, as_csv)
    ended = nights("--quiet", **settings)
    said = r"^so far: control slice: \d+\.\d % \(\d+ to \d+\) of the pool correct.* \(more in rounds/status.html\)$"
    assert re.search(said, ended.stdout, re.MULTILINE), ended.stdout
    labels = pd.read_csv("rounds/002/labels.csv", dtype=str, keep_default_na=False)
    assert (labels["control"] == "1").sum() == 1
    assert Path("rounds/status.html").exists()


def test_with_a_test_set_lists_are_the_strategys_alone_unless_control_says_otherwise(nights: Nights) -> None:
    nights()
    nights.answer(0, of_two_classes)
    nights("--quiet")
    assert "control" not in pd.read_csv("rounds/001/queries.csv")
    Path("rounds/001/queries.csv").unlink()
    nights("--quiet", CONTROL=0.5)
    assert "control" in pd.read_csv("rounds/001/queries.csv")


def test_the_script_stops_when_a_rule_holds_and_goes_on_without_it(nights: Nights) -> None:
    nights(COUNT=4)
    for number in range(3):
        nights.answer(number, as_csv)
        assert nights("--quiet", COUNT=4).code == 0
        if number:  # no later margin is as small as those that were asked about
            folder = Path(f"rounds/{number:03d}")
            asked = pd.read_csv(folder / "queries.csv")["image"]
            write_margins(folder / "scores.parquet", Path("images"), dict.fromkeys(asked, 1e-9))
    nights.answer(3, as_csv)
    ended = nights("--quiet", COUNT=4, STOP_WHEN="margins")
    assert ended.code == 0, ended.stderr
    assert "stopping, because margins holds; to go on, run again with STOP_WHEN= or other rules" in ended.stdout
    assert "(--stop-when): margins: the smallest margin left is " in ended.stderr
    assert not Path("rounds/004/queries.csv").exists()
    ended = nights("--quiet", COUNT=4)
    assert "waiting for 4 answers in rounds/004/queries.csv" in ended.stdout

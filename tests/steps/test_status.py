"""status: what it counts, which accuracies it names as what, the time it adds up, and its page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli.models.head_file import save_head
from dfal_cli.statistics.control import Slice, pool_accuracy
from tests.conftest import dfal, write
from tests.page import Page
from tests.steps.finished_rounds import POOL, curve, house, law, status, told, write_list, write_round

__all__ = ["house"]


def test_labelled_unusable_and_left_images_are_counted_without_the_test_set(house: Path) -> None:
    write(house / "labels.csv", "image,label", "000.png,dark", "001.png,light", "002.png,__skip__", "003.png,")
    write(house / "test.csv", "image,label", "010.png,dark", "011.png,light")
    counts = told("--images", "images", "--test", "test.csv")["counts"]
    assert counts == {"labelled": 2, "unusable": 1, "left": 35}
    assert "labelled 2, unusable 1, left 35" in status("--images", "images", "--test", "test.csv").stdout
    assert "left unknown (name --images or --embeddings)" in status().stdout


def test_a_class_with_less_than_half_of_an_even_share_is_rare(house: Path) -> None:
    names = ["dark"] * 9 + ["light"] * 6 + ["grey"] * 2
    write(house / "labels.csv", "image,label", *(f"{place:03d}.png,{name}" for place, name in enumerate(names)))
    found = told()
    assert (found["classes"], found["rare"]) == ({"dark": 9, "light": 6, "grey": 2}, ["grey"])
    assert "rare: grey (2)" in status().stdout


def test_accuracies_are_named_for_what_they_are_measured_on(house: Path) -> None:
    write(house / "labels.csv", "image,label", "039.png,dark", "038.png,light")
    write_list(write_round(1, 20, 0.8), "000.png,dark,1", "001.png,light,")
    write_round(2, 22)
    one, two = told("--rounds", "rounds")["rounds"]
    assert set(one["accuracy"]) == {"test set", "cross-validation"}
    assert set(two["accuracy"]) == {"cross-validation"}
    assert one["control"]["accuracy"] == 1.0
    assert two["control"] is None
    assert "round  labels           test set   cross-validation" in status("--rounds", "rounds").stdout


def test_without_the_output_of_train_its_checkpoint_is_read(house: Path) -> None:
    write(house / "labels.csv", "image,label", "039.png,dark")
    folder = write_round(1, 20, 0.8)
    results = json.loads((folder / "train.json").read_text())
    before = told("--rounds", "rounds")["rounds"]
    (folder / "train.json").unlink()
    metadata = {"counts": results.pop("counts"), "metrics": results}
    weight, bias = np.zeros((2, 4)), np.zeros(2)
    classes = ("dark", "light")
    save_head(
        folder / "model.safetensors", weight, bias, classes=classes, embeddings={}, backbone=None,
        extra_metadata=metadata,
    )  # fmt: skip
    assert told("--rounds", "rounds")["rounds"] == before


def test_the_control_slice_is_the_estimate_of_its_answered_usable_images(house: Path) -> None:
    rows = ["000.png,dark,1", "001.png,light,1", "002.png,__skip__,1", "003.png,,1", "004.png,light,", "005.png,light,"]
    write_list(write_round(1, 20), *rows)
    write(house / "labels.csv", "image,label", "039.png,dark")
    control = told("--rounds", "rounds")["control"]
    expected = pool_accuracy([Slice(POOL, 2, 1)])
    assert (control["drawn"], control["answered"]) == (4, 2)
    assert control["newest"]["accuracy"] == expected.share
    assert control["newest"]["interval"] == pytest.approx(list(expected.interval))
    assert (control["mistakes"]["found"], control["mistakes"]["queries"]) == (2, 2)
    assert control["mistakes"]["at_random"] == 1.0


def test_a_label_that_was_corrected_later_counts(house: Path) -> None:
    write_list(write_round(1, 20), "000.png,dark,1")
    write(house / "labels.csv", "image,label", "000.png,light")
    assert told("--rounds", "rounds")["control"]["newest"]["accuracy"] == 0.0


def test_rounds_together_give_the_mean_over_their_models(house: Path) -> None:
    for number in (1, 2, 3):
        write_list(write_round(number, 20 * number), f"00{number}.png,{'light' if number == 3 else 'dark'},1")
    write(house / "labels.csv", "image,label", "039.png,dark")
    control = told("--rounds", "rounds")["control"]
    assert control["mean_of_rounds"]["accuracy"] == pytest.approx(2 / 3)
    assert (control["mean_of_rounds"]["images"], control["mean_of_rounds"]["rounds"], control["round"]) == (3, 3, 3)
    assert "mean accuracy of the models of 3 rounds on their pools" in status("--rounds", "rounds").stdout


def test_scores_alone_find_the_slice_by_the_marks_in_labels_csv(house: Path) -> None:
    write_round(1, 20)
    Path("rounds/001/scores.parquet").rename("s.parquet")
    write(house / "labels.csv", "image,label,control", "000.png,dark,1", "001.png,light,1", "002.png,light,")
    control = told("--scores", "s.parquet")["control"]
    assert (control["newest"]["accuracy"], control["newest"]["images"]) == (0.5, 2)


def test_images_of_rare_classes_are_compared_with_random_queries(house: Path) -> None:
    labels = ["dark"] * 8 + ["light"] * 1
    write(house / "labels.csv", "image,label", *(f"x{place}.png,{name}" for place, name in enumerate(labels)))
    write_list(write_round(1, 9), "000.png,dark,1", "001.png,light,", "002.png,light,", "003.png,dark,")
    rare = told("--rounds", "rounds")["control"]["rare"]
    assert (rare["found"], rare["queries"], rare["at_random"]) == (2, 3, 0.0)


def test_the_time_of_trainings_is_added_and_that_of_people_is_said_to_be_unknown(house: Path) -> None:
    curve(0.7, 0.8, 0.9)
    assert told("--rounds", "rounds")["training_seconds"] == 180
    assert (
        "3 minutes of training; the time of labelling is recorded by `dfal label` only"
        in status("--rounds", "rounds").stdout
    )


def test_the_time_of_people_on_the_labelling_page_is_added(house: Path) -> None:
    curve(0.7, 0.8)
    for number, rows in ((1, ("1,20.0", "2,35.5")), (2, ("1,100.0",))):
        write(Path(f"rounds/{number:03d}/queries.csv.times.csv"), "answers,seconds", *rows)
    assert told("--rounds", "rounds")["people_seconds"] == 155.5
    assert "2 minutes of training; 3 minutes of labelling with `dfal label`" in status("--rounds", "rounds").stdout
    write(Path("rounds/002/queries.csv.times.csv"), "answers,seconds", "1,long")
    ended = dfal("status", "--labels", "labels.csv", "--rounds", "rounds")
    assert (ended.code, "column seconds has a cell that is no number" in ended.stderr) == (3, True)


def test_a_folder_without_rounds_and_an_impossible_target_are_refused(house: Path) -> None:
    write(house / "labels.csv", "image,label", "000.png,dark")
    for arguments, said in ((("--rounds", "images"), "no numbered folders"), (("--target", 1), "between 0 and 1")):
        ended = dfal("status", "--labels", "labels.csv", *arguments)
        assert (ended.code, said in ended.stderr) == (2, True), ended.stderr


def test_the_page_shows_the_curve_and_needs_nothing_but_itself(house: Path) -> None:
    curve(*(law(number) for number in range(1, 8)))
    write_list(Path("rounds/003"), "000.png,dark,1", "001.png,light,")
    assert status("--rounds", "rounds", "--page", "p.html").stdout.endswith("p.html\n")
    page = Page(house / "p.html")
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe"})
    assert all((attributes.get("src") or "data:image/").startswith("data:image/") for _, attributes in page.tags)
    assert page.tables()["Accuracy by round"]["3"][0] == "120"
    assert page.tables()["Labels"]["dark"][0] == "1"
    assert "1 of 1 random control images are answered and usable" in page.words
    before = Path("p.html").read_bytes()
    status("--rounds", "rounds", "--page", "p.html")
    assert Path("p.html").read_bytes() == before


def test_a_page_does_not_overwrite_another_file(house: Path) -> None:
    write(house / "labels.csv", "image,label", "000.png,dark")
    write(house / "p.html", "<p>mine</p>")
    ended = dfal("status", "--labels", "labels.csv", "--page", "p.html")
    assert (ended.code, "is not a status page of dfal" in ended.stderr) == (2, True)
    assert dfal("status", "--labels", "labels.csv", "--page", "p.html", "--force").code == 0


def test_status_reads_only(house: Path) -> None:
    curve(0.7, 0.8)
    before = {path: path.read_bytes() for path in house.rglob("*") if path.is_file()}
    status("--rounds", "rounds", "--images", "images", "--quiet")
    assert {path: path.read_bytes() for path in house.rglob("*") if path.is_file()} == before
    assert pd.read_csv("labels.csv").columns.tolist() == ["image", "label"]

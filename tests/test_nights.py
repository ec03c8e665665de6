"""The nightly script from night to night: changed settings, kills, the keys of classes, and what each night reports."""

import itertools
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from dfal_cli.tables.class_keys import ClassKeys
from tests.conftest import write
from tests.nights import Nights, files_of, labels_of
from tests.page import Page, listed
from tests.steps.test_select_again import as_csv

Case = TypeVar("Case")


@pytest.fixture
def nights(in_tmp: Path) -> Nights:
    """Nothing has been asked yet."""
    return Nights(in_tmp)


CHANGES = {"COUNT": 4, "EPOCHS": 2, "ARCH": "lenet5", "IMAGE_SIZE": 20, "STRATEGY": "entropy"}


LEFT = (["model.safetensors"], ["model.safetensors", "scores.parquet"])
"""Files that a killed night has written."""


def test_a_changed_setting_counts_from_the_next_round_on(nights: Nights) -> None:
    for setting, value in second_lists(nights, CHANGES.items()):
        for rows in (0, 1, 3):  # nothing answered yet, some, all
            nights.answer(1, as_csv, rows)
            before = files_of(1)
            ended = nights(**{setting: value})
            assert (ended.code, "overwriting" in ended.stderr) == (0, False), (setting, ended.stderr)
            assert files_of(1) == before, setting
        said = f"waiting for {value if setting == 'COUNT' else 3} answers in rounds/002/queries.csv"
        assert said in ended.stdout, setting


def test_a_killed_night_is_repeated_with_the_current_settings(nights: Nights) -> None:
    for left, (setting, value) in second_lists(nights, itertools.product(LEFT, CHANGES.items())):
        for file in {"scores.parquet", "queries.csv", "preview.html"} - set(left):
            Path("rounds/001", file).unlink()
        ended = nights(**{setting: value})
        assert ended.code == 0, (setting, left, ended.stderr)
        said = f"waiting for {value if setting == 'COUNT' else 3} answers in rounds/001/queries.csv"
        assert said in ended.stdout, (setting, left)
        if setting not in ("COUNT", "STRATEGY"):  # which are no options of train
            option = f"--{setting.lower().replace('_', '-')}"
            assert re.search(rf"model.safetensors: exists, and was made with(out)? {option} ", ended.stderr), (
                left, ended.stderr
            )  # fmt: skip


def second_lists(nights: Nights, cases: Iterable[Case]) -> Iterator[Case]:
    """Yield the cases; each finds the rounds as they are when the second list has been written."""
    nights()
    nights.answer(0, as_csv)
    nights()
    shutil.copytree("rounds", "second list")
    for case in cases:
        yield case
        shutil.rmtree("rounds")
        shutil.copytree("second list", "rounds")


def test_a_killed_night_is_repeated_after_images_and_labels_changed(nights: Nights) -> None:
    nights()
    nights.answer(0, as_csv)
    nights()
    Path("rounds/001/queries.csv").unlink()
    labels = labels_of(1)
    gone = next(image for image in list(nights.oracle)[8:] if image not in labels)
    Path("images", gone).unlink()
    first, *others = labels
    write(Path("rounds/001/labels.csv"), "image,label", f"{first},light", *(f"{image},dark" for image in others))
    ended = nights()
    assert ended.code == 0, ended.stderr
    assert "was made with other --labels" in ended.stderr
    assert "waiting for 3 answers in rounds/001/queries.csv" in ended.stdout


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"STRATEGY": "entrpy"}, "STRATEGY=entrpy: unknown to this script"),
        ({"BACKBONE": "lite0"}, "BACKBONE has no effect without EMBED"),
        ({"EMBED": "e.parquet", "STRATEGY": "bald"}, "STRATEGY=bald needs a network with dropout"),
        ({"EMBED": "e.parquet", "ARCH": "resnet18"}, "ARCH and IMAGE_SIZE have no effect with EMBED"),
    ],
)
def test_settings_that_cannot_work_stop_the_night_before_anything_is_computed(
    nights: Nights, settings: dict[str, str], said: str
) -> None:
    ended = nights(**settings)
    assert (ended.code, said in ended.stderr, ended.stdout) == (2, True, ""), ended.stderr
    assert not Path("rounds").exists()
    assert not Path("e.parquet").exists()


def test_keys_of_classes_stay_from_night_to_night_on_the_preview_and_the_labelling_page(nights: Nights) -> None:
    first = nights(CLASSES="light,dark")
    assert "--keys rounds/keys.csv --class-names light,dark\n" in first.stdout
    assert listed(Page(Path("rounds/000/preview.html")))["classes"] == [["light", "1"], ["dark", "2"]]
    ClassKeys(Path("rounds/keys.csv")).add(["a further one"])  # as a person on the labelling page
    nights.answer(0, as_csv)
    assert nights().code == 0
    keys = [["light", "1"], ["dark", "2"], ["a further one", "3"]]
    assert listed(Page(Path("rounds/001/preview.html")))["classes"] == keys


def test_every_night_reports_the_accuracy_and_its_change(nights: Nights) -> None:
    assert nights("--quiet").stdout.splitlines()[-1].startswith("waiting for 3 answers in rounds/000")
    nights.answer(0, as_csv)
    measured = r"test accuracy \d+\.\d % \(\d+ to \d+, 8 images\)"
    confused = r"(; confused most: (dark|light) taken for (dark|light) \(\d+\))?"
    said = nights("--quiet").stdout
    assert re.search(rf"^round 1: 3 labels, {measured}{confused}$", said, re.MULTILINE), said
    nights.answer(1, as_csv)
    said = nights("--quiet").stdout
    line = rf"^round 2: 6 labels, {measured}, [+-]\d+\.\d points since round 1{confused}$"
    assert re.search(line, said, re.MULTILINE), said
    again = nights("--quiet").stdout
    assert re.search(line, again, re.MULTILINE), "also on a night without training"


def test_the_report_names_classes_that_have_lost_their_images_and_counts_one_label_as_one(nights: Nights) -> None:
    nights()
    nights.answer(0, as_csv)
    nights()
    report = json.loads(Path("rounds/001/train.json").read_text())
    before = report | {"classes": [*report["classes"], "grey"]}
    Path("rounds/000/train.json").write_text(json.dumps(before))
    Path("rounds/001/train.json").write_text(json.dumps(report | {"counts": {"labelled": 1}}))
    said = nights("--quiet").stdout.splitlines()[0]
    assert said.startswith("round 1: 1 label, test accuracy ")
    assert said.endswith("; without images since round 0: grey")


def test_other_options_come_from_a_file_and_without_a_test_set_the_validation_accuracy_is_reported(
    nights: Nights,
) -> None:
    shutil.copy("test.csv", "validation.csv")
    write(Path("dfal.yaml"), "train:", "  validation: validation.csv", "  restarts: 2", "merge:", "  on-conflict: keep")
    settings = {"CONFIG": "dfal.yaml", "TEST": "", "RESTARTS": ""}
    nights(**settings)
    nights.answer(0, as_csv)
    ended = nights(**settings)
    assert "round 1: 3 labels, validation accuracy " in ended.stdout, ended.stderr
    assert '"restart": 2' in Path("rounds/001/train.json").read_text()


def test_with_an_oracle_all_rounds_are_played_and_the_gain_is_reported(nights: Nights) -> None:
    settings = {"ORACLE": "oracle.csv", "LAST": 2, "STRATEGY": "ceal"}
    for _ in range(2):
        ended = nights("--quiet", **settings)
        assert ended.code == 0, ended.stderr
        before, after = ended.stdout.splitlines()[-2:]
        assert before.startswith("before: round 1: 3 labels, test accuracy ")
        assert after.startswith("after:  round 2: 6 labels, test accuracy ")
        assert after.endswith(" (the last round: LAST=2)")
    assert len(labels_of(2)) == 6

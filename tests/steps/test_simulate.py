"""simulate: whole rounds on a tiny folder."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from dfal_cli import __version__
from dfal_cli.system.processes import cores
from tests.conftest import dfal, draw_divided_folder, draw_folder, write
from tests.page import Page
from tests.steps.simulating import SETTINGS, simulate

DEFAULT = ("dfal", "dfal-without-twins", "random")
OUTPUTS = ("results.csv", "timings.csv", "curves.png", "report.html")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, pool.csv (16 of them), test.csv (the other 8) and out/, where two trials have been simulated."""
    root = draw_divided_folder(tmp_path_factory.mktemp("simulate"))
    ended = simulate(root, "out", "--trials", 2)
    assert ended.code == 0, ended.stderr
    assert ended.stdout.split() == [str(root / "out" / name) for name in OUTPUTS]
    return root


def test_results_have_a_row_for_every_round_of_every_strategy_and_trial(house: Path) -> None:
    results = pd.read_csv(house / "out" / "results.csv")
    columns = ["strategy", "trial", "round", "annotations", "accuracy", "loss", "label_entropy"]
    assert list(results.columns) == [*columns, "balanced_accuracy", "fewest_labels"]
    assert len(results) == 3 * 2 * 3
    for _, rows in results.groupby(["strategy", "trial"]):
        assert rows["round"].tolist() == [0, 1, 2]
        assert rows["annotations"].tolist() == [4, 7, 8]  # the budget counts the initial labels
    assert set(results["strategy"]) == set(DEFAULT)
    assert results["accuracy"].between(0, 1).all()
    assert (results["accuracy"] * 8 % 1 < 1e-4).all()  # eight test images
    assert (results["loss"] > 0).all()
    assert results["label_entropy"].between(0, 0.6932).all()
    assert (results["balanced_accuracy"] - results["accuracy"]).abs().max() < 1e-6  # four test images of each class
    assert (results["fewest_labels"] <= results["annotations"] // 2).all()
    assert (results["fewest_labels"] == 0).equals(results["label_entropy"] == 0)


def test_timings_have_a_row_for_every_round(house: Path) -> None:
    timings = pd.read_csv(house / "out" / "timings.csv")
    assert list(timings.columns) == ["strategy", "trial", "round", "train_seconds", "query_seconds"]
    assert len(timings) == 18
    assert timings["query_seconds"].isna().tolist() == (timings["round"] == 2).tolist()  # nothing is asked at the end


def test_the_curves_are_a_picture(house: Path) -> None:
    with Image.open(house / "out" / "curves.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) >= 300


def test_the_report_says_what_was_run_and_what_came_of_it(house: Path) -> None:
    page = Page(house / "out" / "report.html")
    assert page.settings()["initial"] == "4"
    assert page.settings()["seed"] == "7"
    resolved = {name: page.settings()[name] for name in ("arch", "candidates", "device", "jobs", "dfal")}
    assert resolved == {"arch": "lenet5", "candidates": "all", "device": "cpu", "jobs": "1", "dfal": __version__}
    data = {name: page.settings()[name] for name in ("input", "oracle", "test images")}
    assert data == {"input": "16 × 16, grey", "oracle": "16 images, 2 classes", "test images": "8"}
    assert page.settings()["cores"] == str(cores())
    assert "3 strategies, 2 trials, 3 rounds from 4 to 8 annotations" in page.words
    results = pd.read_csv(house / "out" / "results.csv")
    at_end = results[results["annotations"] == 8].groupby("strategy")["accuracy"].mean()
    for strategy in DEFAULT:
        assert page.cell("Final accuracy and area", strategy, 0).startswith(f"{100 * at_end[strategy]:.2f} %")


def test_a_report_that_was_lost_is_made_again(house: Path) -> None:
    report = house / "out" / "report.html"
    before = report.read_bytes()
    report.unlink()
    assert simulate(house, "out", "--trials", 2).code == 0
    assert report.read_bytes() == before


def test_nothing_else_is_left_in_the_folder_but_the_rows_of_each_run_and_what_they_were_made_from(house: Path) -> None:
    kept = sorted(path.name for path in (house / "out" / ".rounds").iterdir())
    rows = [f"{name}-{trial}.rows.json" for name in DEFAULT for trial in (1, 2)]
    assert kept == sorted(["contents.json", "input.json", *rows])
    assert {path.name for path in (house / "out").iterdir() if not path.name.startswith(".")} == set(OUTPUTS)


def test_strategies_begin_from_the_same_labels_and_trials_from_others(house: Path) -> None:
    results = pd.read_csv(house / "out" / "results.csv")
    start = results[results["round"] == 0]
    for _, rows in start.groupby("trial"):
        assert len(rows[["accuracy", "loss", "label_entropy"]].drop_duplicates()) == 1
    assert start["loss"].nunique() == 2


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(house: Path) -> None:
    simulate(house, "again", "--trials", 2, "--workers", 0)
    simulate(house, "other", "--trials", 2, "--seed", 8)
    first, again, other = ((house / name / "results.csv").read_bytes() for name in ("out", "again", "other"))
    assert first == again != other


def test_a_second_run_is_up_to_date(house: Path) -> None:
    before = (house / "out" / "timings.csv").read_bytes()
    ended = simulate(house, "out", "--trials", 2, "--json")
    assert (ended.code, ended.json["status"]) == (0, "up to date")
    assert set(ended.json["mean_accuracy_at_end"]) == set(DEFAULT)
    assert (house / "out" / "timings.csv").read_bytes() == before


def test_the_budget_ends_with_the_oracles_labels(house: Path) -> None:
    ended = simulate(house, "small", "--strategies", "random", "--count", 8, "--budget", 1000, "--json")
    warning = "the oracle has only 16 images, so the simulation ends at 16 of 1,000 labels"
    assert (ended.code, ended.json["warnings"]) == (0, [warning])
    assert warning in ended.stderr
    assert Page(house / "small" / "report.html").settings()["budget"] == f"1000 ({warning})"
    assert pd.read_csv(house / "small" / "results.csv")["annotations"].tolist() == [4, 12, 16]


def test_a_warning_names_its_round(house: Path) -> None:
    ended = simulate(house, "warned", "--strategies", "random,dfal", "--trials", 2, "--budget", 14, "--json")
    assert ended.json["warnings"] == [
        "dfal, trial 1, round 3: 3 of 3 images have no margin (3 cap reached); the nearest images may be among them"
    ]


def test_a_warning_that_every_round_would_give_is_given_once(house: Path, tmp_path: Path) -> None:
    shutil.copytree(house, tmp_path / "house")
    image = (house / "test.csv").read_text().splitlines()[1].partition(",")[0]
    Image.new("L", (16, 16)).save(tmp_path / "house" / "images" / image)
    ended = simulate(tmp_path / "house", "flat", "--strategies", "random,entropy", "--trials", 2, "--json")
    (warning,) = ended.json["warnings"]
    assert warning.startswith("random, trial 1, round 0: ")
    assert "one flat colour" in warning


def test_classes_of_the_oracle_that_may_be_slips_are_warned_of_once(house: Path, tmp_path: Path) -> None:
    for name in ("pool.csv", "test.csv"):
        write(tmp_path / name, *(house / name).read_text().replace(",dark", ",cat").replace(",light", ",Cat").split())
    shutil.copytree(house / "images", tmp_path / "images")
    ended = simulate(tmp_path, "out", "--strategies", "random,entropy", "--trials", 2, "--json")
    (warning,) = ended.json["warnings"]
    assert warning.startswith("class 'Cat' differs from 'cat' only in upper and lower case; they are trained")


def test_a_log_has_no_line_for_every_round(house: Path) -> None:
    arguments = [argument for argument in SETTINGS if argument != "--quiet"]
    files = ("--images", house / "images", "--labels", house / "pool.csv", "--test", house / "test.csv")
    ended = dfal("simulate", *files, "--out", house / "log", *arguments, "--strategies", "random")
    results = pd.read_csv(house / "log" / "results.csv")
    assert ended.stderr.splitlines() == [f"mean accuracy at the end: random {results['accuracy'][2]:.4f}"]


def test_the_entropy_of_a_single_class_is_zero_without_a_sign(house: Path, tmp_path: Path) -> None:
    header, *rows = (house / "pool.csv").read_text().splitlines()
    one_light = [*(row for row in rows if "dark" in row), next(row for row in rows if "light" in row)]
    write(tmp_path / "pool.csv", header, *one_light)
    shutil.copy(house / "test.csv", tmp_path)
    shutil.copytree(house / "images", tmp_path / "images")
    assert simulate(tmp_path, "out", "--strategies", "random", "--budget", 5, "--trials", 3).code == 0
    text = (tmp_path / "out" / "results.csv").read_text()
    assert ",0.000000" in text
    assert "-0.0" not in text


def test_runs_of_a_trial_that_differ_in_round_0_are_reported(house: Path) -> None:
    assert simulate(house, "alike", "--strategies", "random,entropy").code == 0
    kept = house / "alike" / ".rounds" / "random-1.rows.json"
    accuracy = json.loads(kept.read_text())[0][0][4]
    kept.write_text(kept.read_text().replace(f'"{accuracy}"', '"0.987654"', 1))
    ended = simulate(house, "alike", "--strategies", "random,entropy", "--json")
    assert ended.json["warnings"] == [
        "the runs of trial 1 differ in round 0: some were made on another machine or by another version"
    ]


BLIND = """
import torch

class Blind(torch.nn.Sequential):  # to images of one colour
    def forward(self, images):
        flat = images.flatten(1)
        return super().forward(images) / (flat.amax(1) > flat.amin(1))[:, None] * 1.0

def blind(num_classes, input_shape):
    return Blind(torch.nn.Flatten(), torch.nn.Linear(256, num_classes))
"""


def test_a_loss_that_is_not_finite_is_an_empty_cell_and_all_outputs_come(
    house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("images", "pool.csv", "test.csv"):
        (shutil.copytree if name == "images" else shutil.copy)(house / name, tmp_path / name)
    test = (tmp_path / "test.csv").read_text().splitlines()
    Image.new("L", (16, 16), 255).save(tmp_path / "images" / test[1].split(",")[0])
    write(tmp_path / "blind_networks.py", BLIND)
    monkeypatch.chdir(tmp_path)
    astray = ("--strategies", "random,entropy", "--budget", 7, "--arch", "blind_networks:blind")
    ended = simulate(tmp_path, "astray", *astray)
    assert ended.code == 0, ended.stderr
    results = tmp_path / "astray" / "results.csv"
    first = results.read_bytes()
    assert first.count(b",,") == len(pd.read_csv(results)) == 4
    assert {path.name for path in results.parent.glob("[!.]*")} == set(OUTPUTS)
    for kept in results.parent.glob(".rounds/*.rows.json"):
        kept.write_text(kept.read_text().replace(',"",', ',"nan",'))
    for name in OUTPUTS:
        (results.parent / name).unlink()
    ended = simulate(tmp_path, "astray", *astray)
    assert ended.code == 0, ended.stderr
    assert results.read_bytes() == first, "what was kept as nan is written so, too"


def test_networks_that_did_not_learn_are_reported_first(tmp_path: Path) -> None:
    root = draw_folder(tmp_path, each=24)
    header, *rows = (root / "oracle.csv").read_text().splitlines()
    write(root / "pool.csv", header, *rows[:16])
    swapped = [row.replace("dark", "?").replace("light", "dark").replace("?", "light") for row in rows[16:]]
    write(root / "test.csv", header, *swapped)  # what is learnt of the others is wrong for these
    once = ("--strategies", "random", "--epochs", 8)
    ended = simulate(root, "out", *once, "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json["not_learnt"] == ["random"]
    (warning,) = ended.json["warnings"]
    assert warning.startswith("none of these networks learnt: their final accuracy on the 32 test images is not better")
    assert "Check the labels, then try more --epochs, more --patience, --augment photo, or more labels" in warning
    assert "Summary None of these networks learnt:" in Page(root / "out" / "report.html").words
    again = simulate(root, "out", *once, "--json")
    assert (again.json["status"], again.json["warnings"]) == ("up to date", [warning])
    (root / "out" / "report.html").unlink()
    files = ("--images", root / "images", "--labels", root / "pool.csv", "--test", root / "test.csv")
    told = dfal("simulate", *files, "--out", root / "out", *SETTINGS[:-1], *once).stderr
    assert "none of these networks learnt; mean accuracy at the end: random 0." in told

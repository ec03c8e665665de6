"""simulate: what cannot be simulated, and output folders that are in the way."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from dfal_cli.steps.simulate import contents
from dfal_cli.system.fingerprints import sha256_of
from tests.conftest import Ended, dfal, draw_divided_folder, draw_twins_in_size, swap, write
from tests.reliability.disks import mounted

SETTINGS = {
    "--images": "images",
    "--labels": "pool.csv",
    "--test": "test.csv",
    "--initial": 4,
    "--count": 3,
    "--budget": 8,
    "--epochs": 1,
    "--device": "cpu",
    "--jobs": 1,
    "--strategies": "random",
}
OWN = "import torch\n\ndef {name}(num_classes, input_shape):\n    return torch.nn.Sequential({layers})\n"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, pool.csv (16 of them), test.csv (the other 8) and out/, where random has been simulated."""
    root = draw_divided_folder(tmp_path_factory.mktemp("refusals"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert simulate("out").code == 0
    return root


@pytest.fixture
def house(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a copy of it."""
    shutil.copytree(drawn, tmp_path / "house")
    monkeypatch.chdir(tmp_path / "house")
    return tmp_path / "house"


def simulate(out: str, *arguments: object, **further: object) -> Ended:
    options = SETTINGS | {f"--{name.replace('_', '-')}": value for name, value in further.items()}
    return dfal(
        "simulate", "--out", out, *(part for option in options.items() for part in option), "--quiet", *arguments
    )


@pytest.mark.parametrize(
    ("option", "value", "code", "reason"),
    [
        ("test", "pool.csv", 3, "pool.csv, line 2: 000.png and 15 more: also in the oracle (pool.csv)"),
        ("strategies", "random,best", 2, "--strategies best"),
        ("strategies", " ,", 2, "--strategies: name at least one of dfal"),
        ("strategies", "random,bald", 2, "--strategies bald: resnet18 has no dropout"),
        ("budget", 3, 2, "--budget 3"),
        ("budget", 4, 2, "--budget 4: includes the 4 initial labels (--initial)"),
        ("initial", 16, 2, "--initial 16: the oracle (pool.csv) has only 16 images"),
        ("labels", "empty.csv", 3, "no labels"),
        ("test", "elsewhere.csv", 3, "elsewhere.csv, line 10: none.png: not under images (--images)"),
        ("labels", "one.csv", 3, "one.csv: all labels of the oracle are of one class, 'dark'"),
        ("labels", "none.csv", 2, "none.csv: no such file (--labels)"),
        ("test", "none.csv", 2, "none.csv: no such file (--test)"),
        ("test", "beyond.csv", 3, "beyond.csv, line 2: none.png: not under images (--images)"),
        ("test", "empty.csv", 3, "empty.csv"),
        (
            "test",
            "circle.csv",
            3,
            "circle.csv, line 3: label 'circle': the oracle (pool.csv) has no image of this class",
        ),
        ("images", "none", 2, "none: no such folder (--images)"),
        ("augment", "none such", 2, "--augment none such"),
        ("arch", "lenet6", 2, "--arch lenet6"),
        ("train_arch", "lenet6", 2, "--train-arch lenet6"),
        ("train_arch", "no.such:network", 2, "--train-arch no.such:network"),
        ("monitor", "margin", 2, "--monitor margin"),
        ("norm", "l3", 2, "--norm l3"),
        ("classes", 1, 2, "--classes"),
    ],
)
def test_an_invalid_simulation_ends_with_the_reason_and_leaves_no_files(
    house: Path, option: str, value: object, code: int, reason: str
) -> None:
    write(house / "empty.csv", "image,label", "000.png,")
    write(house / "circle.csv", *(house / "test.csv").read_text().splitlines()[:2], "023.png,circle")
    write(house / "elsewhere.csv", *(house / "test.csv").read_text().splitlines(), "none.png,dark")
    write(house / "beyond.csv", "image,label", "none.png,dark")
    write(house / "one.csv", *(row for row in (house / "pool.csv").read_text().splitlines() if "light" not in row))
    further = {"budget": 20} if option == "initial" else {}
    further |= {"arch": "resnet18"} if "bald" in str(value) else {}
    ended = simulate("bad", **{option: value}, **further)
    assert (ended.code, reason in ended.stderr) == (code, True), ended.stderr
    assert len(ended.stderr.splitlines()) <= 2
    assert not (house / "bad").exists()


def test_a_file_in_the_place_of_the_folder_for_the_outputs_is_refused(house: Path) -> None:
    before = (house / "oracle.csv").read_bytes()
    ended = simulate("oracle.csv")
    assert (ended.code, ended.stderr) == (2, "dfal simulate: oracle.csv: is not a folder (--out)\n")
    assert (house / "oracle.csv").read_bytes() == before


def test_unreadable_images_are_listed_before_anything_is_trained(house: Path) -> None:
    for name in ("003.png", "007.png"):
        (house / "images" / name).write_bytes(b"no image")
    ended = simulate("new")
    assert ended.code == 3
    assert (
        "003.png and 1 more cannot be read (see new/unreadable.csv for the reasons); "
        "repair them, or label them __skip__ in pool.csv" in ended.stderr
    )
    assert pd.read_csv("new/unreadable.csv")["image"].tolist() == ["003.png", "007.png"]
    rows = (house / "pool.csv").read_text().splitlines()
    write(house / "pool.csv", *(f"{row[:7]},__skip__" if row[:3] in ("003", "007") else row for row in rows))
    assert simulate("new").code == 0, "what came to nothing must not be in the way"
    assert not Path("new/unreadable.csv").exists()


def test_a_network_for_the_first_image_only_is_refused_before_any_round(house: Path) -> None:
    for name in ("007.png", "011.png"):  # so many of 16 that no size prevails
        with Image.open(house / "images" / name) as image:
            image.resize((20, 20)).save(house / "images" / name)
    ended = simulate("new", strategies="random,bald")
    assert (ended.code, "--strategies bald: resnet18 has no dropout" in ended.stderr) == (2, True), ended.stderr
    assert not list(Path("new").rglob("done.json"))
    assert simulate("new", strategies="random,bald", arch="lenet5", image_size=16).code == 0, (
        "it must not be in the way"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"epochs": 2},
            "out: was made with --epochs 1, not 2; choose another --out, or use --force to discard its 3 rounds",
        ),
        ({"lr": 0.1, "candidates": 5}, "made without --candidates 5 and with --lr 0.001, not 0.1"),
        ({"labels": "other.csv"}, "made from other labels (--labels)"),
    ],
)
def test_a_folder_made_with_other_settings_says_which(house: Path, options: dict[str, object], said: str) -> None:
    names = [row[:7] for row in (house / "pool.csv").read_text().splitlines()[1:]]
    write(house / "other.csv", "image,label", *(f"{name},{'light' if name < '005' else 'dark'}" for name in names))
    before = (house / "out" / "results.csv").read_bytes()
    ended = simulate("out", **options)
    assert (ended.code, said in ended.stderr) == (2, True), ended.stderr
    assert (house / "out" / "results.csv").read_bytes() == before
    assert simulate("out", "--force", **options).code == 0
    assert (house / "out" / "results.csv").read_bytes() != before


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("device", "cuda", "made on cuda, not cpu"),
        ("torch", "1.0", "made with torch 1.0, not "),
        ("dfal", "0.0.1", "made with dfal 0.0.1, not "),
    ],
)
def test_results_of_another_device_or_version_are_not_joined(house: Path, part: str, value: str, said: str) -> None:
    stored = house / "out" / ".made_from"
    stored.write_text(json.dumps(json.loads(stored.read_text()) | {part: value}))
    ended = simulate("out", trials=2)
    assert (ended.code, said in ended.stderr) == (2, True), ended.stderr


def test_results_of_unknown_inputs_are_not_joined(house: Path) -> None:
    (house / "out" / ".made_from").write_text("{")
    ended = simulate("out", trials=2)
    assert (ended.code, "out: was made from unknown inputs" in ended.stderr) == (2, True), ended.stderr


def test_results_of_changed_images_or_networks_are_not_joined(house: Path) -> None:
    layers = "torch.nn.Flatten(), torch.nn.Linear(256, num_classes)"
    own = write(house / "simulated_networks.py", OWN.format(name="first", layers=layers))
    assert simulate("own", arch="simulated_networks:first").code == 0
    write(own, OWN.format(name="first", layers=f"{layers}, torch.nn.Identity()"))
    ended = simulate("own", arch="simulated_networks:first", trials=2)
    assert (ended.code, "made with other code of the network" in ended.stderr) == (2, True), ended.stderr
    shutil.copyfile("images/005.png", "images/000.png")
    ended = simulate("out", trials=2)
    assert (ended.code, "made from other images" in ended.stderr) == (2, True), ended.stderr


def test_results_of_swapped_images_are_not_joined(house: Path) -> None:
    draw_twins_in_size(house / "images", "000.png", "001.png")
    assert simulate("swapped").code == 0
    swap(house / "images" / "000.png", house / "images" / "001.png")
    ended = simulate("swapped", trials=2)
    assert (ended.code, "made from other images" in ended.stderr) == (2, True), ended.stderr


def test_a_copy_of_the_images_continues_a_simulation_and_unchanged_files_are_hashed_once(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree("images", "aside")
    shutil.rmtree("images")
    shutil.copytree("aside", "images")
    hashed: list[Path] = []

    def noted(root: Path, image: str) -> str:
        hashed.append(root / image)
        return sha256_of(root / image)

    monkeypatch.setattr(contents, "content_hash", noted)
    for trials in (2, 3):
        assert simulate("out", trials=trials).code == 0
    assert sorted(hashed) == sorted(Path("images").iterdir())


@pytest.mark.parametrize("name", ["results.csv", "timings.csv", "curves.png", "report.html", "unreadable.csv"])
def test_a_foreign_file_is_not_overwritten(house: Path, name: str) -> None:
    write(house / "mine" / name, "a,b")
    ended = simulate("mine")
    assert (ended.code, f"mine: holds {name}, which dfal simulate did not write" in ended.stderr) == (2, True)
    assert [path.name for path in Path("mine").iterdir()] == [name]
    assert (house / "mine" / name).read_text() == "a,b\n"


def test_runs_that_cannot_be_removed_are_not_taken_for_those_of_other_settings(house: Path) -> None:
    told = (house / "out" / ".made_from").read_text()
    with mounted(house / "out" / ".rounds" / "busy"):
        ended = simulate("out", "--force", lr=0.1)
    assert (ended.code, "busy" in ended.stderr) == (2, True), ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert (house / "out" / ".made_from").read_text() == told

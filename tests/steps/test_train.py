"""train: reproducible, up to date when nothing has changed, and what it does with twins."""

import random
import shutil

import numpy as np
import pytest
import torch

from dfal_cli.checkpoint import load_checkpoint
from tests.conftest import dfal, draw_folder, write


@pytest.fixture
def folder(tmp_path):
    """Images of two classes, all labelled."""
    root = draw_folder(tmp_path / "project", each=12)
    (root / "oracle.csv").rename(root / "labels.csv")
    return root


def train(root, *further, out="model.safetensors"):
    return dfal(
        "train", "--images", root / "images", "--labels", root / "labels.csv", "--out", root / out,
        "--device", "cpu", "--quiet", "--epochs", 2, *further,
    )  # fmt: skip


def trained_bytes(root, *further, out="model.safetensors"):
    ended = train(root, *further, out=out)
    assert ended.code == 0, ended.stderr
    return (root / out).read_bytes()


def weights(path):
    return load_checkpoint(path).model.body.state_dict()


def same_weights(a, b):
    one, other = weights(a), weights(b)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def give_twin(root, image="000.png", twin=None):
    """Give an image a twin: file twins/<image>.npy, and its path in labels.csv."""
    twin = np.random.default_rng(1).random((1, 16, 16), dtype=np.float32) if twin is None else twin
    (root / "twins").mkdir(exist_ok=True)
    np.save(root / "twins" / f"{image}.npy", twin)
    rows = [row.split(",")[:2] for row in (root / "labels.csv").read_text().splitlines()[1:]]
    lines = [f"{name},{label},{f'twins/{image}.npy' if name == image else ''}" for name, label in rows]
    write(root / "labels.csv", "image,label,twin", *lines)


def test_the_same_inputs_and_seed_give_the_same_bytes(folder):
    options = ("--restarts", 2, "--augment", "shift")
    assert trained_bytes(folder, *options, out="a.safetensors") == trained_bytes(folder, *options, out="b.safetensors")


def test_a_copied_folder_gives_the_same_bytes(folder, tmp_path):
    give_twin(folder)
    copied = shutil.copytree(folder, tmp_path / "elsewhere" / "copy", copy_function=shutil.copyfile)
    assert trained_bytes(folder) == trained_bytes(copied, "--workers", 0)


def test_another_seed_gives_another_checkpoint(folder):
    trained_bytes(folder, out="a.safetensors")
    trained_bytes(folder, "--seed", 1, out="b.safetensors")
    assert not same_weights(folder / "a.safetensors", folder / "b.safetensors")


def test_the_global_random_generators_are_left_alone(folder):
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert train(folder, "--augment", "photo").code == 0
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_a_second_run_is_up_to_date_and_writes_nothing(folder):
    first = train(folder, "--json").json
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    second = train(folder, "--json", "--workers", 0).json
    assert (first["status"], second["status"]) == ("done", "up to date")
    assert second["outputs"] == first["outputs"] == [str(folder / "model.safetensors")]
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp


def test_touched_but_unchanged_images_are_up_to_date(folder):
    trained_bytes(folder)
    (folder / "images" / "000.png").touch()
    assert train(folder, "--json").json["status"] == "up to date"


OTHER_LABELS = "with other --labels, or with other versions of their images or twins"


@pytest.mark.parametrize(
    ("change", "said"),
    [("option", "with --seed 0, not 7"), ("label", OTHER_LABELS), ("image", OTHER_LABELS), ("twin", OTHER_LABELS)],
)
def test_a_checkpoint_with_other_inputs_is_replaced_only_with_force(folder, change, said):
    give_twin(folder)
    before = trained_bytes(folder)
    options = []
    if change == "option":
        options = ["--seed", 7]
    elif change == "label":
        text = (folder / "labels.csv").read_text()
        write(folder / "labels.csv", text.replace("000.png,dark", "000.png,light").strip())
    elif change == "image":
        shutil.copyfile(folder / "images" / "001.png", folder / "images" / "000.png")
    else:
        np.save(folder / "twins" / "000.png.npy", np.zeros((1, 16, 16), np.float32))
    ended = train(folder, *options)
    assert ended.code == 2
    assert f"exists, and was made {said}; choose another --out, or use --force to overwrite it" in ended.stderr
    assert (folder / "model.safetensors").read_bytes() == before
    assert trained_bytes(folder, *options, "--force") != before


def test_training_uses_twins(folder):
    trained_bytes(folder, out="without.safetensors")
    give_twin(folder)
    ended = train(folder, "--json", out="with.safetensors")
    assert ended.json["counts"]["twins"] == 1
    assert not same_weights(folder / "with.safetensors", folder / "without.safetensors")


def test_no_twins_trains_as_if_there_were_none(folder):
    trained_bytes(folder, out="without.safetensors")
    give_twin(folder)
    ended = train(folder, "--json", "--no-twins", out="refused.safetensors")
    assert ended.json["counts"]["twins"] == 0
    assert same_weights(folder / "refused.safetensors", folder / "without.safetensors")


def test_missing_and_misfit_twins_are_counted_and_their_images_are_trained_on(folder):
    trained_bytes(folder, out="without.safetensors")
    for twin, word in ((None, "missing"), (np.zeros((3, 4, 4), np.float32), "size")):
        give_twin(folder, "001.png", twin)
        if twin is None:
            (folder / "twins" / "001.png.npy").unlink()
        ended = train(folder, "--json", out=f"{word}.safetensors")
        assert ended.code == 0
        (warning,) = ended.json["warnings"]
        assert warning.startswith("1 twin ")
        assert word in warning
        assert ended.json["counts"]["labelled"] == 24
        assert same_weights(folder / f"{word}.safetensors", folder / "without.safetensors")


def test_a_twin_that_would_run_code_is_not_loaded(folder):
    give_twin(folder, "000.png", np.array([{"an": "object"}], dtype=object))
    ended = train(folder, "--json")
    assert ended.json["counts"]["twins"] == 0
    assert ended.json["warnings"]


def test_twins_are_found_beside_the_labels_file_from_any_working_directory(folder, tmp_path, monkeypatch):
    give_twin(folder)
    monkeypatch.chdir(tmp_path)
    ended = dfal(
        "train", "--images", "project/images", "--labels", "project/labels.csv", "--out", "model.safetensors",
        "--epochs", 1, "--device", "cpu", "--json",
    )  # fmt: skip
    assert ended.json["counts"]["twins"] == 1
    assert ended.json["outputs"] == ["model.safetensors"]

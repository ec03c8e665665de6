"""score: what it refuses, what it leaves alone, and what it gets through."""

import os
import shutil
import sys

import pyarrow.parquet as pq
import pytest
import torch

from dfal_cli.checkpoint import save_checkpoint
from dfal_cli.models import build_network
from tests.conftest import dfal, draw_twins_in_size, swap, write


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    """A copy of the trained folder, as the working directory."""
    root = shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(root)
    return root


def score(*further, checkpoint="model.safetensors", out="scores.parquet"):
    return dfal(
        "score", "--images", "images", "--checkpoint", checkpoint, "--labels", "labels.csv", "--out", out,
        "--device", "cpu", *further,
    )  # fmt: skip


def assert_refused(ended, code, *said):
    assert ended.code == code, ended.stderr
    for text in said:
        assert text in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_second_run_is_up_to_date_whatever_batch_size_and_workers(project):
    assert score("--twins", 2).code == 0
    stamp = (project / "scores.parquet").stat().st_mtime_ns
    ended = score("--twins", 2, "--batch-size", 3, "--workers", 0, "--json")
    assert ended.json["status"] == "up to date"
    assert ended.json["outputs"] == ["scores.parquet"]
    assert (project / "scores.parquet").stat().st_mtime_ns == stamp


OTHER_IMAGES = "from another list of images, or before some of them changed"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("touched image", OTHER_IMAGES),
        ("new image", OTHER_IMAGES),
        ("label", OTHER_IMAGES),
        ("option", "with --norm l2, not linf"),
        ("checkpoint", "from another checkpoint"),
    ],
)
def test_scores_made_from_other_inputs_are_overwritten_only_with_force(project, change, said):
    assert score().code == 0
    before = (project / "scores.parquet").read_bytes()
    options = []
    if change == "touched image":
        (project / "images" / "039.png").touch()
    elif change == "new image":
        shutil.copy(project / "images" / "039.png", project / "images" / "040.png")
    elif change == "label":
        write(project / "labels.csv", *(project / "oracle.csv").read_text().splitlines()[:30])
    elif change == "option":
        options = ["--norm", "linf"]
    else:
        ended = dfal("train", "--images", "images", "--labels", "labels.csv", "--out", "model.safetensors",
                     "--epochs", 1, "--seed", 5, "--device", "cpu", "--quiet", "--force")  # fmt: skip
        assert ended.code == 0
    ended = score(*options)
    assert_refused(ended, 2, f"scores.parquet: exists, and was made {said}; ", "--force")
    assert (project / "scores.parquet").read_bytes() == before
    assert score(*options, "--force").code == 0
    assert (project / "scores.parquet").read_bytes() != before


def test_scores_of_images_that_have_changed_names_are_made_anew_without_force(project):
    draw_twins_in_size(project / "images", "038.png", "039.png")
    assert score().code == 0
    measured = pq.read_table("scores.parquet").to_pandas().set_index("image")["confidence"]
    swap(project / "images" / "038.png", project / "images" / "039.png")
    ended = score("--json")
    assert (ended.code, ended.json["status"]) == (0, "done")
    assert "image files have been touched (renamed, copied, moved or linked) since" in ended.stderr
    again = pq.read_table("scores.parquet").to_pandas().set_index("image")["confidence"]
    assert again["038.png"] == measured["039.png"] != measured["038.png"] == again["039.png"]
    assert score("--json").json["status"] == "up to date"


def test_scores_of_images_that_a_backup_has_linked_are_made_anew_and_it_says_why(project):
    assert score().code == 0
    (project / "backup.png").hardlink_to(project / "images" / "039.png")
    ended = score("--json")
    assert (ended.code, ended.json["status"]) == (0, "done")
    assert "image files have been touched (renamed, copied, moved or linked) since" in ended.stderr


def test_scores_of_a_folder_that_is_moved_are_up_to_date_and_of_a_copy_that_keeps_times_made_anew(project, tmp_path):
    assert score().code == 0
    moved = project.rename(tmp_path / "moved")
    os.chdir(moved)
    assert score("--json").json["status"] == "up to date"
    os.chdir(shutil.copytree(moved, tmp_path / "copied"))
    ended = score("--json")
    assert (ended.code, ended.json["status"]) == (0, "done"), ended.stderr


def test_an_empty_pool_is_bad_data(project):
    shutil.copy(project / "oracle.csv", project / "labels.csv")
    assert_refused(score(), 3, "pool is empty")
    ended = score("--json")
    assert (ended.code, ended.json["status"], ended.json["counts"]["pool"]) == (3, "empty pool", 0)
    assert not (project / "scores.parquet").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"checkpoint": "absent.safetensors"}, "absent.safetensors"),
        ({"out": "scores.txt"}, ".parquet or .csv"),
        ({"further": ("--norm", "l1")}, "l2, linf"),
        ({"further": ("--estimator", "guess")}, "deepfool"),
        ({"further": ("--classes", "1")}, "--classes"),
        ({"further": ("--preset", "best")}, "paper"),
        ({"further": ("--exclude", "absent.csv")}, "absent.csv"),
        ({"further": ("--images", "nowhere")}, "nowhere"),
    ],
    ids=str,
)
def test_a_wrong_option_is_a_usage_error_that_names_it(project, options, said):
    assert_refused(score(*options.pop("further", ()), **options), 2, said)
    assert not list(project.glob("scores*"))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x04K\x07."])
def test_a_file_that_is_no_checkpoint_is_bad_data(project, content):
    (project / "model.safetensors").write_bytes(content)
    assert_refused(score(), 3, "not a checkpoint of dfal")


def test_too_many_unreadable_images_end_the_run_and_are_listed_with_their_reasons(project):
    (project / "images" / "b.png").write_bytes(b"not an image")
    (project / "images" / "a.png").write_bytes((project / "images" / "000.png").read_bytes()[:60])
    ended = score()
    assert_refused(ended, 3, "2 of 18 images cannot be read", "scores.parquet.unreadable.csv", "--max-unreadable")
    header, *rows = (project / "scores.parquet.unreadable.csv").read_text().splitlines()
    assert header == "image,reason"
    assert [row.split(",")[0] for row in rows] == ["a.png", "b.png"]
    assert all(row.split(",", 1)[1] for row in rows)
    assert not (project / "scores.parquet").exists()


def test_a_few_unreadable_images_do_not_stop_the_run_and_are_counted(project):
    (project / "images" / "broken.png").write_bytes(b"not an image")
    ended = score("--max-unreadable", 0.1, "--json", "--batch-size", 5)
    assert ended.code == 0, ended.stderr
    assert ended.json["outputs"] == ["scores.parquet", "scores.parquet.unreadable.csv"]
    assert ended.json["counts"]["unreadable"] == 1
    assert len(ended.json["warnings"]) == 1
    images = pq.read_table("scores.parquet").to_pandas()["image"]
    assert len(images) == 16
    assert "broken.png" not in set(images)


def test_the_list_of_unreadable_images_is_removed_when_they_are_repaired(project):
    (project / "images" / "broken.png").write_bytes(b"not an image")
    assert score("--max-unreadable", 0.1).code == 0
    shutil.copy(project / "images" / "000.png", project / "images" / "broken.png")
    assert score("--max-unreadable", 0.1, "--force").code == 0
    assert not (project / "scores.parquet.unreadable.csv").exists()


OWN = """
import torch

class Net(torch.nn.Module):
    def __init__(self, classes, inputs):
        super().__init__()
        self.layer = torch.nn.Linear(inputs, classes)

class Plain(Net):
    def forward(self, images):
        return self.layer(images.flatten(1))

class Constant(Net):
    def forward(self, images):
        return self.layer.bias.expand(len(images), -1)

class Hungry(Net):
    most = 3
    def forward(self, images):
        if len(images) > self.most and images.any():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return self.layer(images.flatten(1))

class Starving(Hungry):
    most = 0

def plain(num_classes, input_shape): return Plain(num_classes, 256)
def constant(num_classes, input_shape): return Constant(num_classes, 256)
def hungry(num_classes, input_shape): return Hungry(num_classes, 256)
def starving(num_classes, input_shape): return Starving(num_classes, 256)
"""


@pytest.fixture
def own(project):
    """Checkpoints of networks of the user's own, all with the same weights."""
    write(project / "own_nets.py", OWN)
    state = None
    for name in ("plain", "constant", "hungry", "starving"):
        model = build_network(f"own_nets:{name}", 2, (1, 16, 16))
        state = state or model.state_dict()
        model.load_state_dict(state)
        save_checkpoint(
            project / f"{name}.safetensors", model, architecture=f"own_nets:{name}", classes=("dark", "light"),
            input_shape=(1, 16, 16), extra_metadata={},
        )  # fmt: skip
    yield project
    sys.modules.pop("own_nets", None)


def test_a_custom_network_needs_trust_code_or_arch(own):
    assert_refused(score(checkpoint="plain.safetensors"), 2, "--trust-code", "--arch own_nets:plain")
    assert score("--trust-code", checkpoint="plain.safetensors", out="a.parquet").code == 0
    assert score("--arch", "own_nets:plain", checkpoint="plain.safetensors", out="b.parquet").code == 0


def test_images_that_do_not_cross_have_no_margin_and_no_twin(own):
    ended = score("--trust-code", "--twins", 3, "--json", checkpoint="constant.safetensors")
    assert ended.code == 0, ended.stderr
    assert (ended.json["counts"]["uncrossed"], ended.json["counts"]["twins"]) == (16, 0)
    table = pq.read_table("scores.parquet")
    assert set(table["outcome"].to_pylist()) == {"uncrossed"}
    for name in ("margin", "crossing_class", "twin"):
        assert table[name].null_count == 16
    assert table["confidence"].null_count == 0


def test_logits_that_are_not_finite_are_nulls_and_no_small_numbers(own):
    model = build_network("own_nets:plain", 2, (1, 16, 16))
    torch.nn.init.constant_(model.body.layer.weight, 3e38)  # the sums overflow
    save_checkpoint(own / "inf.safetensors", model, architecture="own_nets:plain", classes=("dark", "light"),
                    input_shape=(1, 16, 16), extra_metadata={})  # fmt: skip
    assert score("--trust-code", checkpoint="inf.safetensors").code == 0
    table = pq.read_table("scores.parquet")
    for name in ("predicted", "confidence", "probability_gap", "entropy", "margin", "crossing_class"):
        assert table[name].null_count == 16
    assert set(table["outcome"].to_pylist()) == {"uncrossed"}


@pytest.mark.parametrize("twins", [0, 16])
def test_out_of_memory_halves_the_batch_and_changes_no_score(own, twins):
    options = ("--trust-code", "--batch-size", 16, "--twins", twins, "--json")
    ended = score(*options, checkpoint="hungry.safetensors", out="hungry.parquet")
    assert ended.code == 0, ended.stderr
    assert ended.json["batch_size"] == 2
    assert "batch size is now 2" in ended.stderr
    assert score(*options, checkpoint="plain.safetensors", out="plain.parquet").code == 0
    hungry, plain = (pq.read_table(f"{name}.parquet").to_pandas() for name in ("hungry", "plain"))
    assert list(hungry["image"]) == list(plain["image"])
    assert hungry["margin"].to_numpy() == pytest.approx(plain["margin"].to_numpy(), rel=1e-3)
    assert hungry["twin"].notna().sum() == plain["twin"].notna().sum() == twins


def test_out_of_memory_at_a_batch_of_one_means_try_again_later(own):
    assert_refused(score("--trust-code", "--batch-size", 8, checkpoint="starving.safetensors"), 75, "out of memory")
    assert not (own / "scores.parquet").exists()


def test_another_error_of_the_network_is_not_taken_for_lack_of_memory(own):
    write(own / "own_nets.py", OWN.replace("torch.OutOfMemoryError", "RuntimeError"))
    sys.modules.pop("own_nets", None)
    assert_refused(score("--trust-code", checkpoint="starving.safetensors"), 2, "20 GiB", "own_nets.py, line")

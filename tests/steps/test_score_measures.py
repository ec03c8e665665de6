"""score --measure: further columns, their numbers and their limits."""

import json
import shutil
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from dfal_cli.checkpoint import load_checkpoint, save_checkpoint
from dfal_cli.measures import MEASURES, Settings
from dfal_cli.models import build_network
from dfal_cli.tables import read_scores
from tests.conftest import dfal, write
from tests.steps.test_score import COLUMNS, floats, pool_of

EVERY = [word for name in MEASURES for word in ("--measure", name)]


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    """A copy of the trained folder, as the working directory."""
    root = shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(root)
    return root


def score(*further, out="scores.parquet", checkpoint="model.safetensors"):
    return dfal(
        "score", "--images", "images", "--checkpoint", checkpoint, "--labels", "labels.csv", "--out", out,
        "--device", "cpu", "--quiet", *further,
    )  # fmt: skip


def scored(root, *further, **files):
    ended = score(*further, **files)
    assert ended.code == 0, ended.stderr
    return read_scores(root / files.get("out", "scores.parquet"), tuple(MEASURES)).table


def expected(root, name, images, passes=20, seed=0):
    network = load_checkpoint(root / "model.safetensors")
    settings = Settings("lenet5", passes, seed, print)
    return MEASURES[name].prepare(network.model, settings)(floats(root, images).float()).float().numpy()


def test_each_measure_is_a_column_after_the_twin_with_the_numbers_of_its_function(project):
    table = scored(project, *EVERY, "--batch-size", 5)
    assert list(table.columns) == [*(name for name, _ in COLUMNS), *MEASURES]
    types = [str(pq.read_schema("scores.parquet").field(name).type) for name in MEASURES]
    assert types == ["float", "float", *[f"fixed_size_list<element: float>[{width}]" for width in (2, 2)]]
    for name in MEASURES:
        found = np.stack(table[name].to_list())
        assert found.dtype == np.float32 or found.ndim == 1
        np.testing.assert_allclose(found, expected(project, name, table["image"]), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.stack(table["probabilities"].to_list()).max(1), table["confidence"], rtol=1e-5)


def test_passes_and_seed_reach_bald(project):
    table = scored(project, "--measure", "bald", "--passes", 3, "--seed", 5)
    np.testing.assert_allclose(table["bald"], expected(project, "bald", table["image"], 3, 5), rtol=1e-3, atol=1e-6)


def test_measures_shape_the_scores(project):
    assert score("--measure", "egl").code == 0
    assert score("--measure", "egl", "--json").json["status"] == "up to date"
    ended = score()
    assert (ended.code, "--force" in ended.stderr) == (2, True)


def test_numbers_also_go_into_csv(project):
    table = scored(project, "--measure", "egl", "--measure", "bald", out="scores.csv")
    again = scored(project, "--measure", "egl", "--measure", "bald")
    np.testing.assert_array_equal(table["egl"], again["egl"])
    np.testing.assert_array_equal(table["bald"], again["bald"])


@pytest.mark.parametrize(
    ("further", "out", "said"),
    [
        (("--measure", "embedding"), "scores.csv", ".parquet"),
        (("--measure", "probabilities"), "scores.CSV", ".parquet"),
        (("--measure", "surprise"), "scores.parquet", "bald, egl, embedding, probabilities"),
        (("--measure", "bald", "--passes", 1), "scores.parquet", "--passes"),
        (("--nearest", 0, "--twins", 1), "scores.parquet", "--twins"),
    ],
    ids=str,
)
def test_invalid_measures_are_refused_before_any_work(project, further, out, said):
    (project / "model.safetensors").write_bytes(b"not looked into")
    ended = score(*further, out=out)
    assert ended.code == 2
    assert said in ended.stderr
    assert not list(project.glob("scores*"))


def test_bald_of_a_network_without_dropout_is_refused(project):
    model = build_network("resnet18", 2, (1, 16, 16))
    save_checkpoint(
        project / "resnet.safetensors", model, architecture="resnet18", classes=("dark", "light"),
        input_shape=(1, 16, 16), extra_metadata={},
    )  # fmt: skip
    ended = score("--measure", "bald", checkpoint="resnet.safetensors")
    assert ended.code == 2
    assert "--measure bald: resnet18 has no dropout layers" in ended.stderr
    assert not (project / "scores.parquet").exists()


def test_nearest_0_computes_no_margin(project):
    told = score("--nearest", 0, "--measure", "egl", "--json").json
    assert told["audit"] is None
    assert (told["counts"]["crossed"], told["counts"]["uncrossed"], told["counts"]["skipped"]) == (0, 0, 16)
    table = read_scores(project / "scores.parquet", ("egl",)).table
    assert set(table["outcome"]) == {"skipped"}
    assert table["margin"].isna().all()
    assert table["egl"].notna().all()


def test_the_smallest_margins_cannot_be_asked_of_scores_that_have_none(project):
    assert score("--nearest", 0).code == 0
    ended = dfal("select", "--scores", "scores.parquet", "--count", 2, "--out", "q.csv")
    assert (ended.code, "--nearest 2" in ended.stderr) == (2, True)
    assert (
        dfal("select", "--scores", "scores.parquet", "--count", 2, "--out", "q.csv", "--strategy", "entropy").code == 0
    )


OWN = """
import torch

class Hungry(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.layer = torch.nn.Dropout(0.5), torch.nn.Linear(256, 2)
    def forward(self, images):
        if len(images) > 3 and images.any():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return self.layer(self.drop(images.flatten(1)))

def hungry(num_classes, input_shape): return Hungry()
"""


def test_measures_too_get_smaller_batches_where_memory_runs_out(project):
    write(project / "own_hungry.py", OWN)
    model = build_network("own_hungry:hungry", 2, (1, 16, 16))
    save_checkpoint(
        project / "own.safetensors", model, architecture="own_hungry:hungry", classes=("dark", "light"),
        input_shape=(1, 16, 16), extra_metadata={},
    )  # fmt: skip
    sys.modules.pop("own_hungry")
    table = scored(project, *EVERY, "--trust-code", "--batch-size", 16, checkpoint="own.safetensors")
    head = model.body.layer
    embeddings = floats(project, table["image"]).flatten(1).float()
    np.testing.assert_allclose(np.stack(table["embedding"].to_list()), embeddings, rtol=1e-6)
    probabilities = (embeddings @ head.weight.T + head.bias).softmax(1).detach()
    np.testing.assert_allclose(np.stack(table["probabilities"].to_list()), probabilities, rtol=1e-4)
    assert list(table["image"]) == pool_of(project)


def test_values_that_are_not_finite_are_null(project):
    model = build_network("lenet5", 2, (1, 16, 16))
    torch.nn.init.constant_(model.body[0].weight, 3e38)  # the sums overflow
    save_checkpoint(
        project / "inf.safetensors", model, architecture="lenet5", classes=("dark", "light"),
        input_shape=(1, 16, 16), extra_metadata={},
    )  # fmt: skip
    table = scored(project, *EVERY, checkpoint="inf.safetensors")
    stored = pq.read_table("scores.parquet")
    for name in MEASURES:
        assert stored[name].null_count == 16
        assert np.isnan(np.stack(table[name].to_list())).all()


def test_the_metadata_tell_which_measures_were_asked_for(project):
    assert score("--measure", "bald", "--passes", 4).code == 0
    told = json.loads(pq.read_schema("scores.parquet").metadata[b"dfal"])
    assert (told["settings"]["measure"], told["settings"]["passes"]) == (["bald"], 4)


FROZEN = """
import torch

class Frozen(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.weight = torch.nn.Linear(256, 3), torch.nn.Parameter(torch.ones(2, 3))
        self.requires_grad_(False)
    def forward(self, images):
        return torch.nn.functional.linear(self.layer(images.flatten(1)), self.weight)

def frozen(num_classes, input_shape): return Frozen()
"""


@pytest.fixture
def frozen(project):
    """A network without trainable weights, whose logits no layer makes: all its arguments."""
    write(project / "frozen_net.py", FROZEN)
    architecture = "frozen_net:frozen"
    model = build_network(architecture, 2, (1, 16, 16))
    save_checkpoint(
        project / "frozen.safetensors", model, architecture=architecture, classes=("dark", "light"),
        input_shape=(1, 16, 16), extra_metadata={},
    )  # fmt: skip
    yield ("--arch", architecture)
    sys.modules.pop("frozen_net", None)


def test_egl_of_frozen_weights_is_refused(frozen):
    ended = score("--measure", "egl", *frozen, checkpoint="frozen.safetensors")
    assert ended.code == 2
    assert "--measure egl: all weights of frozen_net:frozen are frozen" in ended.stderr


def test_embeddings_that_may_not_be_the_penultimate_ones_are_told_of_once_for_pool_and_labelled(frozen):
    ended = score("--measure", "embedding", *frozen, checkpoint="frozen.safetensors")
    assert ended.code == 0, ended.stderr
    assert ended.stderr.count("no layer of frozen_net:frozen computes its logits") == 1

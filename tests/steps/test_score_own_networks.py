"""score of a network of one's own: trusted or refused, without margins, out of memory, wrong."""

import sys

import pyarrow.parquet as pq
import pytest
import torch

from dfal_cli.checkpoint import save_checkpoint
from dfal_cli.models import build_network
from tests.conftest import write
from tests.steps.test_score_refusals import assert_refused, project, score

__all__ = ["project"]

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

"""Networks in the user's own code, `package.module:function`."""

import sys

import pytest
import torch

from dfal_cli.errors import UsageError
from dfal_cli.models import build_network
from tests.conftest import dfal, draw_folder, write

GOOD = """
import torch

def build(num_classes, input_shape):
    channels, height, width = input_shape
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * height * width, num_classes))

def two(num_classes, input_shape):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * height * width, num_classes))

def no_module(num_classes, input_shape):
    return 7

def no_logits(num_classes, input_shape):
    return torch.nn.Flatten()

def fails(num_classes, input_shape):
    raise ValueError("nothing doing")

def fails_on_images(num_classes, input_shape):
    return torch.nn.Linear(1, num_classes)

def without_arguments():
    return torch.nn.Flatten()
"""


@pytest.fixture
def own(in_tmp):
    write(in_tmp / "my_package" / "my_networks.py", GOOD)
    yield in_tmp
    for name in [name for name in sys.modules if name.split(".")[0] == "my_package"]:
        del sys.modules[name]


@pytest.mark.parametrize("shape", [(1, 8, 9), (3, 4, 4)])
def test_a_function_in_the_working_directory_builds_the_network(own, shape):
    network = build_network("my_package.my_networks:build", 3, shape)
    assert network(torch.zeros(2, *shape)).shape == (2, 3)


def test_the_working_directory_is_importable_for_the_network_only(own):
    before = list(sys.path)
    build_network("my_package.my_networks:build", 3, (1, 8, 8))
    with pytest.raises(UsageError):
        build_network("my_package.my_networks:fails", 3, (1, 8, 8))
    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("my_package.my_networks:fails", r"ValueError: nothing doing \(.*my_networks\.py, line 18\)"),
        ("my_package.my_networks:absent", "has no function 'absent'"),
        ("my_package.absent:build", "there is no module 'my_package.absent'"),
        ("absent_package:build", "there is no module 'absent_package', neither in the working directory"),
        ("absent_package.inner:build", "there is no module 'absent_package'"),
        ("my_package.my_networks:no_module", "int, not a torch.nn.Module"),
        ("my_package.my_networks:no_logits", r"returned \(2, 64\) instead of logits of shape \(2, 3\)"),
        ("my_package.my_networks:fails_on_images", "fails on 8x8 grey images"),
        ("my_package.my_networks:without_arguments", "num_classes"),
        ("my_package.my_networks:", "--arch my_package.my_networks:"),
        (":build", "--arch :build"),
    ],
)
def test_an_invalid_network_is_a_usage_error_with_the_reason(own, name, reason):
    with pytest.raises(UsageError, match=reason):
        build_network(name, 3, (1, 8, 8))


def test_a_syntax_error_is_reported_with_file_and_line(own):
    write(own / "my_package" / "broken.py", "import torch", "", "def build(:")
    with pytest.raises(UsageError, match=r"SyntaxError: .*broken\.py, line 3"):
        build_network("my_package.broken:build", 3, (1, 8, 8))


def test_outputs_made_with_other_code_of_the_network_are_not_up_to_date(own):
    draw_folder(own, each=6)
    network = ("--images", "images", "--arch", "my_package.my_networks:build", "--device", "cpu", "--json")
    trained = ("train", *network, "--labels", "oracle.csv", "--out", "m.safetensors", "--epochs", 1)
    scored = ("score", *network, "--checkpoint", "m.safetensors", "--out", "s.csv")
    assert [dfal(*command).code for command in (trained, scored)] == [0, 0]
    assert [dfal(*command).json["status"] for command in (trained, scored)] == ["up to date"] * 2
    write(own / "my_package" / "my_networks.py", GOOD, "# otherwise")
    for command in (trained, scored):
        refused = dfal(*command)
        assert (refused.code, "code of the network" in refused.stderr) == (2, True)


def test_scores_that_are_up_to_date_run_no_code_that_is_not_trusted(own):
    draw_folder(own, each=6)
    network = ("--images", "images", "--device", "cpu", "--arch", "my_package.my_networks:build")
    assert dfal("train", *network, "--labels", "oracle.csv", "--out", "m.safetensors", "--epochs", 1).code == 0
    write(own / "my_package" / "__init__.py", "open('ran', 'w')")
    for name in [name for name in sys.modules if name.split(".")[0] == "my_package"]:
        del sys.modules[name]
    refused = dfal("score", *network[:4], "--checkpoint", "m.safetensors", "--out", "s.csv")
    assert (refused.code, "--trust-code" in refused.stderr) == (2, True)
    assert not (own / "ran").exists()

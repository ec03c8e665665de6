"""train: what it refuses, with the file, line or option that is wrong."""

import pytest
import torch

from dfal_cli.checkpoint import load_checkpoint
from tests.conftest import dfal, write
from tests.steps.test_train_inputs import UNMOVED, folder, out, train

__all__ = ["folder", "out"]


def assert_refused(ended, code, out, *said):
    assert ended.code == code, ended.stderr
    for text in said:
        assert text in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("dfal train: ") == 1
    assert ended.stdout == ""
    left = [path.name for path in out.parent.iterdir() if out.name in path.name]
    assert not left


def test_a_single_class_is_refused(folder, out, tmp_path):
    labels = write(tmp_path / "labels.csv", "image,label", "000.png,dark", "002.png,dark")
    assert_refused(train(folder, out, labels=labels), 3, out, "at least two classes", "'dark'")


def test_labels_without_a_label_are_refused_with_a_way_to_begin(folder, out, tmp_path):
    labels = write(tmp_path / "labels.csv", "image,label", "000.png,")
    assert_refused(train(folder, out, labels=labels), 3, out, "--strategy random")


def test_a_label_outside_the_class_names_is_refused_with_file_and_line(folder, out, tmp_path):
    labels = write(tmp_path / "labels.csv", "image,label", "000.png,dark", "001.png,light", "003.png,lihgt")
    ended = train(folder, out, "--class-names", "dark,light", labels=labels)
    assert_refused(ended, 3, out, f"{labels}, line 4", "'lihgt'")


@pytest.mark.parametrize("options", [(), ("--gray", "--image-size", 16)])
@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_a_labelled_image_that_cannot_be_read_is_refused_with_file_and_line(folder, out, tmp_path, content, options):
    name = f"broken-{len(content)}.png"
    (folder / "images" / name).write_bytes(content)
    labels = write(tmp_path / "labels.csv", "image,label", "000.png,dark", "001.png,light", f"{name},light")
    ended = train(folder, out, *options, labels=labels)
    (folder / "images" / name).unlink()
    assert_refused(ended, 3, out, f"{labels}, line 4", name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--arch", "lenet6"), "did you mean lenet5"),
        (("--augment", "blur"), "none, shift, flip, photo"),
        (("--init", "absent.safetensors"), "absent.safetensors"),
        (("--weights", "absent.pth"), "absent.pth"),
        (("--validation", "absent.csv"), "absent.csv"),
        (("--test", "absent.csv"), "absent.csv"),
        (("--arch", "alexnet", "--image-size", "20"), "use another --image-size"),
        (("--pretrained", "--arch", "vgg8"), "--pretrained"),
        (("--device", "toaster"), "auto, cpu, cuda"),
        (("--lr", "0"), "--lr 0: must be a number above 0"),
        (("--lr", "inf"), "--lr: must be a finite number"),
        (("--lr", "nan"), "--lr"),
        (("--wait", "inf"), "--wait: must be a finite number"),
        (("--validation", "small.csv", "--validation-fraction", "0.5"), "--validation and --validation-fraction"),
        (("--init", "model.safetensors", "--image-size", "20"), "remove --image-size"),
        (("--init", "model.safetensors", "--color"), "--gray and --color"),
        (("--arch", "timm_:resnet50"), "there is no module 'timm_'"),
        (("--pretrained",), "use a network of torchvision, such as --arch resnet18"),
    ],
    ids=str,
)
def test_a_wrong_option_is_a_usage_error_that_names_it(folder, out, options, said):
    assert_refused(train(folder, out, *options), 2, out, said)


def test_training_that_diverges_is_a_usage_error_that_names_the_learning_rate(folder, out):
    ended = train(folder, out, "--lr", 1e30, "--validation", folder / "small.csv")
    assert_refused(ended, 2, out, "--lr", "1e+30")


def test_training_that_diverges_in_its_last_step_is_a_usage_error(folder, out):
    """Its loss, measured before the step, and its weights are finite."""
    ended = train(folder, out, "--lr", 1e30, "--validation-fraction", 0, "--batch-size", 1000, "--epochs", 1)
    assert_refused(ended, 2, out, "--lr", "1e+30")


def test_an_output_of_another_suffix_is_refused(folder, tmp_path):
    assert_refused(train(folder, tmp_path / "model.pth"), 2, tmp_path / "model.pth", ".safetensors")


def test_a_missing_image_root_or_labels_file_is_a_usage_error(folder, out, tmp_path):
    assert_refused(train(folder, out, labels="absent.csv"), 2, out, "absent.csv")
    assert_refused(train(tmp_path / "nowhere", out, labels=folder / "labels.csv"), 2, out, "--images")


def test_a_head_for_other_classes_is_not_loaded_even_if_its_shape_matches(folder, out, tmp_path):
    assert train(folder, out, "--class-names", "dark,light").code == 0
    swapped = train(folder, tmp_path / "b.safetensors", "--init", out, "--class-names", "light,dark", *UNMOVED)
    assert swapped.code == 0, swapped.stderr
    before, after = (load_checkpoint(path).model.body for path in (out, tmp_path / "b.safetensors"))
    assert torch.equal(before[0].weight, after[0].weight)
    assert not torch.equal(before[-1].weight, after[-1].weight)


@pytest.mark.parametrize("name", ["test", "validation"])
def test_an_invalid_validation_or_test_row_is_found_before_training(folder, out, tmp_path, name):
    wrong = write(tmp_path / "wrong.csv", "image,label", "000.png,dark", "absent.png,light")
    ended = train(folder, out, f"--{name}", wrong)
    assert_refused(ended, 3, out, f"{wrong}, line 3", "absent.png")
    assert "training lenet5" not in ended.stderr


@pytest.mark.parametrize("options", [("--arch", "timm_:resnet50"), ("--weights", "misfit.pth")])
def test_networks_and_weights_are_checked_before_any_image_is_decoded(folder, out, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    torch.save({"stem.weight": torch.ones(2)}, "misfit.pth")
    monkeypatch.setattr("dfal_cli.training.loading.load_examples", None)
    ended = train(folder, out, *options)
    assert ended.code in (2, 3)
    assert "input: " not in ended.stderr
    assert "training lenet5" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("name", ["lenet6", "timm_:resnet50", "timm_.models:resnet50"])
def test_a_missing_network_is_reported_before_any_file_is_read(folder, out, name):
    ended = train(folder, out, "--arch", name, labels="absent.csv")
    assert_refused(ended, 2, out, f"--arch {name}")
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


@pytest.mark.parametrize("name", ["lite0", "timm/resnet18"])
def test_a_backbone_is_trained_with_freeze_only_and_train_and_simulate_say_so(folder, out, tmp_path, name):
    ended = train(folder, out, "--arch", name)
    assert_refused(ended, 2, out, f"--arch {name}: is a backbone; add --freeze")
    simulated = dfal("simulate", "--images", folder / "images", "--labels", folder / "labels.csv", "--test",
                     folder / "labels.csv", "--out", tmp_path / "sim", "--arch", name)  # fmt: skip
    assert (simulated.code, f"--arch {name}: is a backbone; add --freeze" in simulated.stderr) == (2, True)


def test_an_arch_other_than_the_checkpoints_is_refused_by_init_and_by_score(folder, out, tmp_path):
    assert train(folder, out).code == 0
    assert_refused(train(folder, tmp_path / "b.safetensors", "--init", out, "--arch", "vgg8"), 2,
                   tmp_path / "b.safetensors", "--arch vgg8", "contains a lenet5")  # fmt: skip
    scored = dfal("score", "--images", folder / "images", "--checkpoint", out, "--out", tmp_path / "s.parquet",
                  "--arch", "vgg8")  # fmt: skip
    assert (scored.code, "contains a lenet5" in scored.stderr) == (2, True)

"""train: the inputs it accepts, and its messages about invalid ones."""

import numpy as np
import pytest
import torch
from PIL import Image

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.training.augment import AUGMENTATIONS
from tests.conftest import dfal, draw_folder, write

UNMOVED = ("--lr", 1e-50)
"""A learning rate that moves no float32."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of two classes with labels.csv (all) and small.csv (one of each)."""
    root = draw_folder(tmp_path_factory.mktemp("train"), each=12)
    rows = (root / "oracle.csv").read_text().splitlines()
    write(root / "labels.csv", *rows)
    write(root / "small.csv", *rows[:3])
    return root


def train(root, out, *further, labels="labels.csv"):
    return dfal(
        "train", "--images", root / "images", "--labels", root / labels, "--out", out,
        "--device", "cpu", "--epochs", 1, *further,
    )  # fmt: skip


def assert_refused(ended, code, out, *said):
    assert ended.code == code, ended.stderr
    for text in said:
        assert text in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("dfal train: ") == 1
    assert ended.stdout == ""
    left = [path.name for path in out.parent.iterdir() if out.name in path.name]
    assert not left


@pytest.fixture
def out(tmp_path):
    return tmp_path / "model.safetensors"


def test_two_labelled_images_are_enough(folder, out):
    ended = train(folder, out, "--json", labels="small.csv")
    assert ended.code == 0, ended.stderr
    assert ended.json["counts"]["training"] == 2
    assert load_checkpoint(out).classes == ("dark", "light")


def test_a_network_with_batch_norm_trains_on_33_images_in_batches_of_32(tmp_path, out):
    root = draw_folder(tmp_path / "project", each=17, side=32)
    write(root / "labels.csv", *(root / "oracle.csv").read_text().splitlines()[:34])
    options = ("--arch", "resnet18", "--batch-size", 32, "--validation-fraction", 0, "--json")
    ended = train(root, out, *options)
    assert ended.code == 0, ended.stderr
    assert ended.json["counts"]["training"] == 33
    assert load_checkpoint(out).input_shape == (1, 32, 32)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("channels", ["--gray", "--color"])
def test_every_augmentation_trains(folder, out, name, channels):
    ended = train(folder, out, "--augment", name, channels)
    assert ended.code == 0, ended.stderr


def test_image_size_and_colour_are_taken_from_the_images_and_reported(folder, out):
    ended = train(folder, out)
    assert "input: 16x16 grey" in ended.stderr
    assert "lenet5" in ended.stderr
    assert ended.stdout == f"{out}\n"
    assert load_checkpoint(out).input_shape == (1, 16, 16)


def test_image_size_and_colour_can_be_given(folder, out):
    assert train(folder, out, "--color", "--image-size", 20).code == 0
    assert load_checkpoint(out).input_shape == (3, 20, 20)


def test_one_colour_image_makes_the_input_colour_and_different_sizes_make_it_224(tmp_path, out):
    root = draw_folder(tmp_path / "project", each=2)
    (root / "oracle.csv").rename(root / "labels.csv")
    Image.new("RGB", (20, 16), (200, 0, 0)).save(root / "images" / "000.png")
    ended = train(root, out, "--arch", "squeezenet1_1")
    assert ended.code == 0, ended.stderr
    assert load_checkpoint(out).input_shape == (3, 224, 224)


def test_one_exceptional_image_changes_nothing_but_is_warned_of_even_with_quiet(tmp_path, out):
    root = draw_folder(tmp_path / "project", each=5)
    (root / "oracle.csv").rename(root / "labels.csv")
    odd = Image.new("RGB", (17, 16), (200, 0, 0))
    odd.putpixel((8, 8), (0, 0, 0))
    odd.save(root / "images" / "004.png")
    ended = train(root, out, "--quiet")
    assert load_checkpoint(out).input_shape == (3, 16, 16)
    assert ended.stderr.splitlines() == [
        "warning: 1 of 10 images has colour channels, so the network takes colour images; use --gray if it looks grey",
        "warning: 1 of 10 images is not 16x16 like the others (one is 17x16) and will be resized; "
        "use --image-size to set another size",
    ]


def test_blank_and_skip_labels_are_not_trained_on(folder, out, tmp_path):
    assert train(folder, out).code == 0
    rows = (folder / "labels.csv").read_text().splitlines()
    labels = write(tmp_path / "labels.csv", *rows, "absent.png,__skip__", "also-absent.png,", "third.png,  ")
    ended = train(folder, tmp_path / "b.safetensors", "--json", labels=labels)
    assert ended.code == 0, ended.stderr
    assert ended.json["counts"]["labelled"] == 24
    assert ended.json["classes"] == ["dark", "light"]
    one, other = (load_checkpoint(path).model.state_dict() for path in (out, tmp_path / "b.safetensors"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_class_names_fix_the_classes_and_their_order(folder, out):
    ended = train(folder, out, "--class-names", "light, unseen ,dark", "--json")
    assert ended.code == 0, ended.stderr
    assert load_checkpoint(out).classes == ("light", "unseen", "dark")


def test_init_starts_with_the_weights_of_the_checkpoint(folder, out, tmp_path):
    assert train(folder, out, "--seed", 1).code == 0
    ended = train(folder, tmp_path / "b.safetensors", "--init", out, *UNMOVED)
    assert ended.code == 0, ended.stderr
    one, other = (load_checkpoint(path).model.state_dict() for path in (out, tmp_path / "b.safetensors"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_init_with_other_classes_reports_a_new_head(folder, out, tmp_path):
    assert train(folder, out).code == 0
    ended = train(folder, tmp_path / "b.safetensors", "--init", out, "--class-names", "dark,light,new")
    assert ended.code == 0, ended.stderr
    assert "the last layer is initialised at random" in ended.stderr
    one, other = (load_checkpoint(path) for path in (out, tmp_path / "b.safetensors"))
    assert other.classes == ("dark", "light", "new")
    assert one.model.body[0].weight.shape == other.model.body[0].weight.shape


def test_training_starts_with_the_weights_of_a_local_state_dict(folder, out, tmp_path):
    assert train(folder, out, "--seed", 1).code == 0
    state = load_checkpoint(out).model.body.state_dict()
    torch.save(state, tmp_path / "weights.pth")
    assert train(folder, tmp_path / "b.safetensors", "--weights", tmp_path / "weights.pth", *UNMOVED).code == 0
    other = load_checkpoint(tmp_path / "b.safetensors").model.body.state_dict()
    assert all(torch.equal(state[name], other[name]) for name in state)


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


def test_chosen_defaults_are_reported_and_equal_explicit_options(folder, out):
    ended = train(folder, out)
    assert "patience: 5 (--patience)\nmonitor: loss (--monitor)\naugment: none (--augment)\n" in ended.stderr
    again = train(folder, out, "--patience", 5, "--augment", "none", "--validation-fraction", 0.2, "--json")
    assert again.json["status"] == "up to date"


def test_twins_of_validation_images_are_not_used(tmp_path, out):
    root = draw_folder(tmp_path / "project", each=12)
    header, *rows = (root / "oracle.csv").read_text().splitlines()
    for row in rows:
        np.save(root / f"{row[:3]}.npy", np.full((1, 16, 16), 0.5, np.float32))
    write(root / "labels.csv", f"{header},twin", *(f"{row},{row[:3]}.npy" for row in rows))
    ended = train(root, out, "--validation-fraction", 0.5, "--json")
    assert ended.json["counts"] == {"labelled": 24, "pseudo": 0, "twins": 24, "training": 12}
    assert "on 12 images and 12 twins" in ended.stderr
    assert ended.json["validation"]["examples"] == 12

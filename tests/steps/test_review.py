"""review: labels that are probably wrong become a query list, and answers replace them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli.errors import Interrupted
from dfal_cli.steps.review import folds
from dfal_cli.system.files import locked
from dfal_cli.tables.embeddings import write_embeddings
from tests.conftest import Ended, dfal, draw_folder, write

CLASSES = ("cat", "dog", "owl")
WRONG = {"05.png": "dog", "22.png": "owl", "40.png": "cat"}
"""Image -> its label, which is wrong."""
LINEAR = """
from torch import nn

def linear(num_classes, input_shape):
    return nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(1, num_classes))
"""
COPIES = ("30.png", "57.png")


def true_class(image: str) -> str:
    return CLASSES[int(image[:2]) % 3]


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """60 embedded images of three classes, three labels of which are wrong; 57.png is a copy of 30.png."""
    generator = np.random.default_rng(0)
    images = [f"{number:02d}.png" for number in range(60)]
    vectors = np.eye(6)[[CLASSES.index(true_class(image)) for image in images]] + generator.normal(0, 0.1, (60, 6))
    vectors[57] = vectors[30]
    write_embeddings(Path("e.parquet"), [(images, vectors.astype(np.float32))], {})
    label_all({image: WRONG.get(image, true_class(image)) for image in images})
    return in_tmp


def label_all(labels: dict[str, str]) -> None:
    write(Path("labels.csv"), "image,label", *(f"{image},{label}" for image, label in labels.items()))


def labels() -> dict[str, str]:
    table = pd.read_csv("labels.csv", dtype=str, keep_default_na=False)
    return dict(zip(table["image"], table["label"], strict=True))


def review(*further: object, out: str = "r.csv") -> Ended:
    return dfal("review", "--embeddings", "e.parquet", "--labels", "labels.csv", "--out", out, *further)


def rows(out: str = "r.csv") -> pd.DataFrame:
    return pd.read_csv(out, dtype=str, keep_default_na=False)


def answer(out: str, answers: Sequence[str]) -> None:
    rows(out).assign(label=answers).to_csv(out, index=False)


def test_wrong_labels_are_listed_with_the_probable_class_and_nothing_is_changed(house: Path) -> None:
    before = Path("labels.csv").read_bytes()
    ended = review("--json")
    assert ended.code == 0, ended.stderr
    listed = rows()
    assert list(listed) == ["rank", "image", "label", "labelled", "predicted", "confidence", "why"]
    assert set(listed["image"]) == set(WRONG)
    assert dict(zip(listed["image"], listed["labelled"], strict=True)) == WRONG
    assert list(listed["predicted"]) == [true_class(image) for image in listed["image"]]
    assert list(listed["why"]) == [f"probably {true_class(image)}" for image in listed["image"]]
    assert (listed["label"] == "").all(), "the answer is the person's"
    assert ended.json["counts"] == {
        "labelled": 60, "listed": 3, "doubtful": 3, "copies": 0, "excluded": 0, "not_judged": 0,
    }  # fmt: skip
    assert Path("labels.csv").read_bytes() == before


def test_answers_replace_the_labels_and_a_settled_image_does_not_come_back(house: Path) -> None:
    review()
    stubborn = rows()["image"][0]
    answers = [WRONG[image] if image == stubborn else true_class(image) for image in rows()["image"]]
    answer("r.csv", answers)
    merged = dfal("merge", "--queries", "r.csv", "--labels", "labels.csv", "--on-conflict", "replace", "--json")
    assert (merged.code, merged.json["counts"]["merged"]) == (0, 2), merged.stderr
    assert {image for image, label in labels().items() if label != true_class(image)} == {stubborn}
    assert review(out="again.csv").code == 0
    assert list(rows("again.csv")["image"]) == [stubborn], "nobody has said that it is settled"
    ended = review("--exclude", "r.csv", "--json", out="next.csv")
    assert (ended.json["counts"]["listed"], ended.json["counts"]["excluded"]) == (0, 3)


def test_copies_with_different_labels_come_first_and_name_each_other(house: Path) -> None:
    label_all({**labels(), "57.png": "dog"})
    review()
    listed = rows()
    assert set(listed["image"][:2]) == set(COPIES)
    why = dict(zip(listed["image"], listed["why"], strict=True))
    assert why["30.png"].startswith("same picture as 57.png (dog)")
    assert why["57.png"].startswith("same picture as 30.png (cat)")
    assert set(listed["image"][2:]) == set(WRONG)


def test_a_copy_does_not_teach_the_label_that_it_shares(house: Path) -> None:
    label_all({**labels(), "30.png": "dog", "57.png": "dog"})
    review()
    assert set(COPIES) < set(rows()["image"])


def test_the_only_label_of_a_class_is_not_judged_and_two_are(house: Path) -> None:
    label_all({**labels(), "00.png": "yak"})
    ended = review("--json")
    assert ended.json["counts"]["not_judged"] == 1
    assert "00.png" not in set(rows()["image"])
    assert "1 cannot be judged, because no other image has their class" in ended.stderr
    label_all({**labels(), "01.png": "yak"})
    assert review("--json", out="two.csv").json["counts"]["not_judged"] == 0


def test_a_list_without_doubtful_labels_is_empty_and_says_so(house: Path) -> None:
    label_all({image: true_class(image) for image in labels()})
    ended = review()
    assert (ended.code, len(rows()), "0 of 60 labels to look at again" in ended.stderr) == (0, 0, True), ended.stderr


def test_unusable_and_unlabelled_images_are_no_labels(house: Path) -> None:
    label_all({**labels(), "05.png": "__skip__", "22.png": ""})
    assert review("--json").json["counts"]["labelled"] == 58
    assert list(rows()["image"]) == ["40.png"]


def test_the_list_is_the_same_each_time_and_up_to_date_until_the_labels_change(house: Path) -> None:
    review()
    first = Path("r.csv").read_bytes()
    review(out="other.csv")
    assert Path("other.csv").read_bytes() == first
    answer("r.csv", ["cat", "", ""])
    ended = review("--json")
    assert (ended.code, ended.json["status"], ended.stderr) == (0, "up to date", "r.csv: up to date\n")
    label_all({**labels(), "05.png": true_class("05.png")})
    for further in ((), ("--force",)):
        ended = review(*further)
        assert (ended.code, "holds 1 answer" in ended.stderr, "other --labels" in ended.stderr) == (2, True, True)
    answer("r.csv", ["", "", ""])
    assert "use --force" in review().stderr
    assert review("--force").code == 0
    assert set(rows()["image"]) == set(WRONG) - {"05.png"}


def test_count_takes_the_most_doubtful(house: Path) -> None:
    review()
    assert review("--count", 2, out="two.csv").code == 0
    assert list(rows("two.csv")["image"]) == list(rows()["image"][:2])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--images", "."), 2, "use either --images"),
        (("--epochs", 3), 2, "--epochs: no effect with --embeddings"),
        (("--out", "r.txt"), 2, "--out must end in .csv"),
        (("--labels", "none.csv"), 2, "none.csv: no such file"),
        (("--out", "labels.csv"), 2, "is an input"),
        (("--labels-from-folders",), 2, "use either --labels or --labels-from-folders"),
    ],
)
def test_mistakes_are_explained(house: Path, arguments: Sequence[object], code: int, message: str) -> None:
    ended = review(*arguments)
    assert (ended.code, message in ended.stderr, "Traceback" in ended.stderr) == (code, True, False), ended.stderr
    assert not Path("r.csv").exists()


def test_labels_of_one_class_are_no_data_to_compare(house: Path) -> None:
    label_all(dict.fromkeys(labels(), "cat"))
    ended = review()
    assert (ended.code, "at least two classes" in ended.stderr) == (3, True), ended.stderr


def test_a_list_that_is_being_written_is_left_alone(house: Path) -> None:
    with locked(Path("r.csv")):
        ended = review()
    assert (ended.code, "is being written by" in ended.stderr) == (75, True), ended.stderr


def test_networks_find_wrong_labels_and_a_killed_command_keeps_the_finished_ones(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_folder(in_tmp, each=12)
    write(Path("mine.py"), LINEAR)
    wrong = {"003.png": "dark", "010.png": "light"}
    table = pd.read_csv("oracle.csv", dtype=str)
    table["label"] = [wrong.get(image, label) for image, label in zip(table["image"], table["label"], strict=True)]
    table.to_csv("labels.csv", index=False)
    trained: list[str] = []
    train = folds.train

    def counted(options, *rest, **further):  # type: ignore[no-untyped-def]
        if len(trained) == 3:
            trained.append("killed")
            raise Interrupted(15)
        result = train(options, *rest, **further)
        trained.append(result.status)
        return result

    monkeypatch.setattr(folds, "train", counted)
    arguments = ("review", "--images", "images", "--labels", "labels.csv", "--out", "r.csv", "--arch", "mine:linear",
                 "--epochs", 60, "--lr", 0.3, "--validation-fraction", 0, "--monitor", "last",
                 "--device", "cpu")  # fmt: skip
    assert dfal(*arguments).code != 0
    assert not Path("r.csv").exists()
    ended = dfal(*arguments)
    assert ended.code == 0, ended.stderr
    assert trained == ["done"] * 3 + ["killed"] + ["up to date"] * 3 + ["done"] * 2
    assert set(rows()["image"]) == set(wrong)
    assert not Path(".r.csv.folds").exists()

"""merge takes answers about images of the root only, by the names that labels.csv or the disk has for them."""

from pathlib import Path
from unicodedata import normalize

import pytest

from tests.conftest import Ended, dfal, write

NFC, NFD = (normalize(form, "é.png") for form in ("NFC", "NFD"))


def merge(*arguments: object) -> Ended:
    return dfal("merge", "--queries", "q.csv", "--labels", "labels.csv", *arguments)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("C:\\data\\a.png", "use paths relative to the root"),
        ("c:/data/a.png", "use paths relative to the root"),
        ("c:0015.png", "use paths relative to the root"),
        ("\\\\server\\share\\a.png", "use paths relative to the root"),
        ("https://host/a.png", "use paths relative to the root"),
        ("file:///data/a.png", "use paths relative to the root"),
        ("sub\\a.png", "did you mean 'sub/a.png'? (use / between folders)"),
        ("a.png ", "did you mean 'a.png'?"),
        (" a.png", "did you mean 'a.png'?"),
    ],
)
def test_a_path_that_cannot_be_under_an_image_root_is_refused(in_tmp: Path, image: str, said: str) -> None:
    write(in_tmp / "q.csv", "image,label", "b.png,cat", f"{image},cat", f"c.png{image},cat")
    ended = merge()
    assert ended.code == 3
    assert f"q.csv, line 3: image '{image}'" in ended.stderr  # as it stands in the file
    assert said in ended.stderr
    assert not Path("labels.csv").exists()


@pytest.mark.parametrize("image", ["sub\\a.png", " a.png", "a.png "])
def test_unusual_names_are_accepted_if_an_image_has_that_name(in_tmp: Path, image: str) -> None:
    write(in_tmp / "q.csv", "image,label", f"{image},cat")
    write(in_tmp / "images" / image, "")
    assert merge("--images", "images").code == 0
    write(in_tmp / "q.csv", "image,label", f"{image},dog")
    assert merge("--on-conflict", "replace", "--allow-new-classes").code == 0
    assert Path("labels.csv").read_text() == f"image,label,twin\n{image},dog,\n"


def test_a_missing_image_is_refused_with_the_name_of_a_similar_one(in_tmp: Path) -> None:
    write(in_tmp / "images" / "a.png", "")
    write(in_tmp / "q.csv", "image,label", "images/a.png,cat", "b.png,cat")
    ended = merge("--images", "images")
    assert ended.code == 3
    assert "line 2: image 'images/a.png' is not under images, but a.png exists (1 more problem" in ended.stderr


class TestLeavingOutMissingImages:
    @pytest.fixture(autouse=True)
    def house(self, in_tmp: Path) -> None:
        """Of three answers, and an image without one, two images exist."""
        for image in ("a.png", "b.png"):
            write(in_tmp / "images" / image, "")
        write(in_tmp / "q.csv", "image,label", "a.png,cat", "gone.png,cat", "b.png,dog", "lost.png,")

    def test_their_rows_are_left_out_with_a_warning_and_counted(self) -> None:
        ended = merge("--images", "images", "--on-missing", "leave-out", "--json")
        assert ended.json["counts"].items() >= {"merged": 2, "missing": 2, "left": 0}.items()
        (warning,) = ended.json["warnings"]
        assert "2 of 4 images in q.csv are not under images; the first: gone.png (line 3); their rows" in warning
        assert "2 left out (no such image); 2 images labelled" in ended.stderr
        assert Path("labels.csv").read_text() == "image,label,twin\na.png,cat,\nb.png,dog,\n"

    def test_one_that_is_marked_as_unusable_is_merged(self) -> None:
        write(Path("q.csv"), "image,label", "a.png,cat", "gone.png,__skip__")
        ended = merge("--images", "images", "--on-missing", "leave-out", "--json")
        assert (ended.json["counts"]["skipped"], ended.json["warnings"]) == (1, [])

    @pytest.mark.parametrize(
        ("list_", "said"),
        [
            (("gone.png,cat", "a.jpg,cat", "b.png,dog"), "line 2: image 'gone.png' is not under images"),
            (("gone.png,cat", "lost.png,cat"), "line 2: image 'gone.png' is not under images"),
        ],
        ids=["another spelling", "another image root"],
    )
    def test_names_that_are_wrong_are_refused(self, list_: tuple[str, ...], said: str) -> None:
        write(Path("q.csv"), "image,label", *list_)
        ended = merge("--images", "images", "--on-missing", "leave-out")
        assert (ended.code, said in ended.stderr) == (3, True), ended.stderr
        assert not Path("labels.csv").exists()

    def test_the_option_needs_the_image_root(self) -> None:
        ended = merge("--on-missing", "leave-out")
        assert (ended.code, "has no effect without --images" in ended.stderr) == (2, True)
        assert "use one of error, leave-out" in merge("--images", "images", "--on-missing", "drop").stderr


@pytest.mark.parametrize(("row", "answer"), [(NFC, NFD), (NFD, NFC)])
@pytest.mark.parametrize("on_disk", [NFC, NFD])
@pytest.mark.parametrize("images", [(), ("--images", "images")])
def test_an_answer_in_the_other_normal_form_fills_the_existing_row(
    in_tmp: Path, row: str, answer: str, on_disk: str, images: tuple[str, ...]
) -> None:
    write(in_tmp / "images" / on_disk, "")
    write(in_tmp / "labels.csv", "image,label,twin", f"{row},,")
    write(in_tmp / "q.csv", "image,label", f"{answer},cat")
    assert merge(*images).code == 0
    assert Path("labels.csv").read_text() == f"image,label,twin\n{row},cat,\n"
    write(in_tmp / "q.csv", "image,label", f"{answer},dog")
    assert "'cat' in labels.csv and 'dog' here" in merge(*images, "--allow-new-classes").stderr


def test_a_new_row_has_the_name_on_disk(in_tmp: Path) -> None:
    write(in_tmp / "images" / NFD, "")
    write(in_tmp / "q.csv", "image,label", f"{NFC},cat")
    assert merge("--images", "images").code == 0
    assert Path("labels.csv").read_text() == f"image,label,twin\n{NFD},cat,\n"


def test_two_images_that_differ_in_normal_form_only_keep_their_own_labels(in_tmp: Path) -> None:
    for image, label in ((NFC, "cat"), (NFD, "dog")):
        write(in_tmp / "images" / image, "")
        write(in_tmp / "q.csv", "image,label", f"{image},{label}")
        assert merge("--images", "images", "--allow-new-classes").code == 0
    assert Path("labels.csv").read_text() == f"image,label,twin\n{NFC},cat,\n{NFD},dog,\n"

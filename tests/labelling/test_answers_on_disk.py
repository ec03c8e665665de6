"""Answers are written into the query list, whatever program wrote it, and change nothing else in it."""

import errno
import os
import threading
from pathlib import Path

import pytest

from dfal_cli.errors import TryAgainError
from dfal_cli.system.files import locked
from dfal_cli.tables import read_queries
from dfal_cli.tables.query_answers import QueryAnswers
from tests.conftest import write
from tests.labelling.serving import draw_list, labels_in, served


def answer(path: Path, *answers: tuple[int, str]) -> bytes:
    """Answer rows of a list one by one, and return the file."""
    queries = QueryAnswers(path)
    for row, label in answers:
        with queries.editing():
            queries.write({row: label})
    return path.read_bytes()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"image,label\na.png,\nb.png,\n", b"image,label\na.png,\nb.png,hat\n", id="plain"),
        pytest.param(
            b'\xef\xbb\xbfimage;label;mine\r\n"a.png";;"x;y"\r\nb.png;;3,50\r\n',
            b'\xef\xbb\xbfimage;label;mine\r\n"a.png";;"x;y"\r\nb.png;hat;3,50\r\n',
            id="spreadsheet",
        ),
        pytest.param(
            b"sep=\t\nimage\tlabel\na.png\nb.png", b"sep=\t\nimage\tlabel\na.png\nb.png\that", id="short rows"
        ),
        pytest.param(
            "image,label,note\na.png,,x\n\n,,\nb.png,,\n".encode("utf-16"),
            "image,label,note\na.png,,x\n\n,,\nb.png,hat,\n".encode("utf-16"),
            id="UTF-16 with blank rows",
        ),
        pytest.param(
            b'image,note,label\na.png,"two\nlines",\nb.png,"also\r\ntwo",\n',
            b'image,note,label\na.png,"two\nlines",\nb.png,"also\r\ntwo",hat\n',
            id="line breaks in cells",
        ),
    ],
)
def test_only_the_cell_of_the_answer_changes(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "queries.csv"
    path.write_bytes(before)
    assert answer(path, (1, "hat")) == after


@pytest.mark.parametrize("label", ["=1+1", "'=x", "a,b", 'say "hi"', "two\nlines", " hat ", "__skip__", "héé", "@x"])
def test_an_answer_is_read_back_as_it_was_given(tmp_path: Path, label: str) -> None:
    path = write(tmp_path / "queries.csv", "image,label", "a.png,", "b.png,")
    answer(path, (0, label))
    assert labels_in(path) == [label, ""]
    answer(path, (0, ""))
    assert labels_in(path) == ["", ""]


def test_no_cell_of_an_answer_is_a_formula_for_a_spreadsheet(tmp_path: Path) -> None:
    path = write(tmp_path / "queries.csv", "image,label", "a.png,")
    assert answer(path, (0, "=1+1")) == b"image,label\na.png,'=1+1\n"


def test_what_a_spreadsheet_saves_meanwhile_stays(tmp_path: Path) -> None:
    path = draw_list(tmp_path, 4)
    with served(path, tmp_path / "images", class_names=["hat", "shoe"]) as page:
        page.answer("000.png", "hat")
        by_rank = sorted(path.read_text().splitlines()[1:], reverse=True)
        write(path, "rank,image,label,margin,twin,note", *(f"{row},mine" for row in by_rank))
        page.answer("001.png", "shoe")
        table = read_queries(path)
    assert list(table["image"]) == ["003.png", "002.png", "001.png", "000.png"]
    assert list(table["label"]) == ["", "", "shoe", "hat"]
    assert set(table["note"]) == {"mine"}


def test_an_answer_that_a_spreadsheet_gave_is_not_overwritten(tmp_path: Path) -> None:
    path = draw_list(tmp_path, 2)
    with served(path, tmp_path / "images", class_names=["hat", "shoe"]) as page:
        path.write_text(path.read_text().replace("000.png,", "000.png,boot", 1))
        reply = page.answer("000.png", "hat")
        assert [each["now"] for each in reply["refused"]] == ["boot"]
        assert "boot" in [each["name"] for each in page.get("changes", image="", epoch=0, revision=0).json["classes"]]
    assert labels_in(path) == ["boot", ""]


def test_a_file_that_changes_while_an_answer_is_written_is_not_overwritten(tmp_path: Path) -> None:
    path = draw_list(tmp_path, 2)
    queries = QueryAnswers(path)
    with queries.editing():
        write(path, "image,label", "000.png,theirs")
        with pytest.raises(TryAgainError, match="another program"):
            queries.write({0: "mine"})
    assert labels_in(path) == ["theirs"]


def test_an_answer_waits_for_the_lock_of_another_command(tmp_path: Path) -> None:
    path = draw_list(tmp_path, 2)
    with served(path, tmp_path / "images", class_names=["hat"]) as page:
        with locked(path):
            waiting = threading.Thread(target=page.answer, args=("000.png", "hat"))
            waiting.start()
            waiting.join(0.3)
            assert waiting.is_alive()
            assert labels_in(path) == ["", ""]
        waiting.join()
    assert labels_in(path) == ["hat", ""]


def test_twenty_people_at_once_lose_no_answer(tmp_path: Path) -> None:
    path = draw_list(tmp_path, 60)
    images = [f"{number:03d}.png" for number in range(60)]
    with served(path, tmp_path / "images", class_names=["hat", "shoe"]) as page:

        def work(who: int) -> None:
            for image in images[who::20]:
                page.answer(image, "hat" if who % 2 else "shoe", person=str(who))

        people = [threading.Thread(target=work, args=(who,)) for who in range(20)]
        for each in people:
            each.start()
        for each in people:
            each.join()
    assert labels_in(path) == ["hat" if number % 2 else "shoe" for number in range(60)]


def test_two_pages_of_different_commands_may_share_a_list(tmp_path: Path) -> None:
    path = draw_list(tmp_path, 4)
    with (
        served(path, tmp_path / "images", class_names=["hat", "shoe"]) as one,
        served(path, tmp_path / "images") as other,
    ):
        one.answer("000.png", "hat")
        assert other.answer("000.png", "shoe")["refused"]
        other.answer("001.png", "shoe")
        assert [row["image"] for row in one.get("changes", image="", epoch=0, revision=1).json["rows"]] == ["001.png"]
    assert labels_in(path) == ["hat", "shoe", "", ""]


def test_an_answer_that_a_full_disk_refuses_can_be_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = draw_list(tmp_path, 2)
    answers = [{"image": "000.png", "label": "hat", "before": ""}]
    with served(path, tmp_path / "images", class_names=["hat"]) as page:
        with monkeypatch.context() as disk:
            disk.setattr("dfal_cli.system.files.sync", lambda place: fail(errno.ENOSPC))
            reply = page.post("answers", answers=answers, after=0, count=1)
            assert (reply.status, "No space left" in reply.text) == (503, True)
        assert labels_in(path) == ["", ""]
        assert page.get("state").json["left"] == 2
        assert page.post("answers", answers=answers, after=0, count=1).status == 200
    assert labels_in(path) == ["hat", ""]
    assert {each.name for each in tmp_path.iterdir()} == {"images", "queries.csv", "queries.csv.keys.csv"}


def fail(number: int) -> None:
    """Fail as the operating system does."""
    raise OSError(number, os.strerror(number))

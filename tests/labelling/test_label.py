"""dfal label: the classes and their keys, conflicts, order of the images, pace, how the command ends."""

import json
import signal
import time
from pathlib import Path

import pytest
from waitress.trigger import trigger

from dfal_cli.errors import DataError
from dfal_cli.tables.class_keys import KEYS, ClassKeys
from tests.conftest import dfal, write
from tests.labelling.serving import Served, draw_list, labels_in, served
from tests.reliability.processes import ended, said, started


def keys_of(page: Served) -> dict[str, str]:
    return {each["name"]: each["key"] for each in page.get("state").json["classes"]}


def test_keys_do_not_move_from_round_to_round(tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", "image,label", "x.png,shoe", "y.png,boot")
    first, second = draw_list(tmp_path / "1", 3), draw_list(tmp_path / "2", 3)
    with served(first, tmp_path / "1/images", labels=[labels]) as page:
        assert keys_of(page) == {"boot": "1", "shoe": "2"}
        assert page.post("classes", name="apron").status == 200
        assert page.answer("000.png", "apron")["rows"][0]["label"] == "apron"
    write(labels, "image,label", "a.png,apron", "x.png,shoe", "y.png,boot", "z.png,hat")
    with served(second, tmp_path / "2/images", labels=[labels]) as page:
        assert keys_of(page) == {"boot": "1", "shoe": "2", "apron": "3", "hat": "4"}


def test_a_person_may_choose_keys(tmp_path: Path) -> None:
    keys = write(tmp_path / "k.csv", "class,key", "shoe,s", "hat,h")
    with served(draw_list(tmp_path), tmp_path / "images", keys=keys, class_names=["apron", "hat"]) as page:
        assert keys_of(page) == {"apron": "1", "hat": "h", "shoe": "s"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [("hat,u", "cannot be used"), ("hat,ab", "cannot be used"), ("hat,1", "already taken"), ("shoe,2", "twice")],
)
def test_a_keys_file_that_cannot_be_right_is_refused_with_its_line(tmp_path: Path, line: str, problem: str) -> None:
    keys = write(tmp_path / "k.csv", "class,key", "shoe,1", line)
    with pytest.raises(DataError, match=f"line 3: .*{problem}"):
        ClassKeys(keys)


def test_classes_beyond_the_keys_have_none(tmp_path: Path) -> None:
    keys = ClassKeys(tmp_path / "k.csv")
    keys.add([f"c{number:02d}" for number in range(len(KEYS) + 3)])
    assert list(keys.in_order.values()) == [*KEYS, "", "", ""]
    assert len(set(KEYS)) == len(KEYS) == 31


@pytest.mark.parametrize("name", ["", "  ", "__skip__", "HAT", " hat", "n/a", "\ud800", "a\0b"])
def test_a_class_that_is_a_typing_error_is_not_added(tmp_path: Path, name: str) -> None:
    with served(draw_list(tmp_path), tmp_path / "images", class_names=["hat"]) as page:
        reply = page.post("classes", name=name)
        assert reply.status == 422 or name.strip() == "hat"
        assert list(keys_of(page)) == ["hat"]


def test_a_conflict_outlives_the_server_and_is_settled_by_a_person(tmp_path: Path) -> None:
    queries = draw_list(tmp_path)
    with served(queries, tmp_path / "images", class_names=["hat", "shoe"]) as page:
        page.answer("000.png", "hat", person="one")
        assert page.answer("000.png", "hat", person="other")["refused"] == []  # they agree
        assert page.answer("000.png", "shoe", person="other")["refused"][0]["now"] == "hat"
    with served(queries, tmp_path / "images") as page:
        assert page.post("finish").status == 422
        (conflict,) = page.get("state").json["conflicts"]
        assert (conflict["image"], conflict["first"], conflict["second"]) == ("000.png", "hat", "shoe")
        assert page.answer("000.png", "shoe", before="hat")["conflicts"] == []
    assert labels_in(queries)[0] == "shoe"
    assert not (tmp_path / "queries.csv.conflicts.csv").exists()


def test_two_commands_keep_all_conflicts(tmp_path: Path) -> None:
    queries, images = draw_list(tmp_path), tmp_path / "images"
    with served(queries, images, class_names=["hat", "shoe"]) as page, served(queries, images) as other_page:
        for server, image in ((page, "000.png"), (other_page, "001.png")):
            server.answer(image, "hat")
            server.answer(image, "shoe", person="other")
    with served(queries, images) as page:
        assert [each["image"] for each in page.get("state").json["conflicts"]] == ["000.png", "001.png"]


def test_images_that_others_look_at_come_last(tmp_path: Path) -> None:
    with served(draw_list(tmp_path, 4), tmp_path / "images", class_names=["hat"]) as page:
        page.get("state", person="one")
        assert page.get("state", person="other").json["start"] == 1
        page.get("changes", person="one", image="002.png", epoch=0, revision=0)
        rows = page.get("queue", person="other", after=0, count=9).json["rows"]
        assert [row["row"] for row in rows] == [1, 3, 0, 2]


def test_the_image_of_somebody_who_has_left_is_asked_about_again(tmp_path: Path) -> None:
    with served(draw_list(tmp_path, 3), tmp_path / "images", class_names=["hat"]) as page:
        assert page.get("state", person="one").json["start"] == 0
        assert page.get("state", person="other").json["start"] == 1
        page.post("leave", person="one")
        state = page.get("state", person="third").json
        assert (state["start"], state["people"]) == (0, 2)


def test_pace_and_time_left(tmp_path: Path) -> None:
    with served(draw_list(tmp_path, 4), tmp_path / "images", class_names=["hat"]) as page:
        assert page.get("state").json["seconds"] is None
        for number, seconds in enumerate((1.0, 9999.0, 3.0)):  # a pause counts as a minute
            answers = [{"image": f"{number:03d}.png", "label": "hat", "before": ""}]
            state = page.post("answers", answers=answers, after=number, count=1, seconds=seconds).json
        assert state["seconds"] == 3.0
        assert state["seconds_left"] == 3.0
        assert state["classes"] == [{"name": "hat", "key": "1", "count": 3}]
        assert [row["image"] for row in state["recent"]] == ["002.png", "001.png", "000.png"]
    assert (tmp_path / "queries.csv.times.csv").read_text() == "answers,seconds\n1,1.0\n1,60.0\n1,3.0\n"


def test_undo_takes_back_what_the_person_did_and_nothing_else(tmp_path: Path) -> None:
    queries = draw_list(tmp_path, 3)
    with served(queries, tmp_path / "images", class_names=["hat", "shoe"]) as page:
        page.answer("000.png", "hat", person="one")
        page.answer("001.png", "shoe", person="other")
        page.answer("000.png", "shoe", before="hat", person="one")
        for expected in ("hat", ""):
            page.post("undo", person="one")
            assert labels_in(queries) == [expected, "shoe", ""]
        page.answer("000.png", "hat", person="one")
        page.answer("000.png", "shoe", before="hat", person="other")
        assert page.post("undo", person="one").json["refused"]  # it is somebody else's answer by now
        assert labels_in(queries) == ["shoe", "shoe", ""]


def test_undo_never_takes_back_what_others_or_earlier_sessions_answered(tmp_path: Path) -> None:
    queries = draw_list(tmp_path, 6)
    with served(queries, tmp_path / "images", class_names=["hat", "shoe"]) as page:
        page.answer("000.png", "hat", person="one")  # in the list when the next session begins
    with served(queries, tmp_path / "images") as page:
        page.answer("001.png", "hat", person="other")
        for image in ("002.png", "003.png"):
            page.answer(image, "shoe", person="one")
        text = queries.read_text()
        write(queries, text.replace("002.png,shoe", "002.png,"))  # a spreadsheet empties the cell ...
        page.get("changes", person="one", image="", epoch=0, revision=0)
        write(queries, text)  # ... and gives the same answer
        undone = [page.post("undo", person="one").json for _ in range(4)]
        assert [[row["image"] for row in each["rows"]] for each in undone] == [["003.png"], ["002.png"], [], []]
        assert [len(each["refused"]) for each in undone] == [0, 1, 0, 0]
        assert page.post("undo", person="newcomer").json["rows"] == []
        assert page.get("state").json["conflicts"] == []
    assert labels_in(queries) == ["hat", "hat", "shoe", "", "", ""]


def test_undo_leaves_an_answer_that_somebody_else_gave_too(tmp_path: Path) -> None:
    queries = draw_list(tmp_path, 3)
    with served(queries, tmp_path / "images", class_names=["hat"]) as page:
        page.answer("000.png", "hat", person="one")
        page.answer("000.png", "hat", person="other")
        page.answer("001.png", "hat", person="one")
        page.answer("001.png", "hat", person="one")  # sent again: the page did not get the reply
        undone = [page.post("undo", person="one").json for _ in range(2)]
        assert [len(each["refused"]) for each in undone] == [0, 1]
    assert labels_in(queries) == ["hat", "", ""]


def test_what_a_person_takes_back_does_not_settle_a_conflict(tmp_path: Path) -> None:
    with served(draw_list(tmp_path, 3), tmp_path / "images", class_names=["hat", "shoe"]) as page:
        page.answer("000.png", "hat", person="one")
        page.answer("000.png", "shoe", person="other")
        page.post("undo", person="one")
        (conflict,) = page.get("state").json["conflicts"]
        assert (conflict["first"], conflict["second"]) == ("", "shoe")


def test_a_list_without_rows_and_a_list_that_is_not_there(in_tmp: Path) -> None:
    draw_list(in_tmp, 1)
    write(Path("empty.csv"), "image,label")
    done = dfal("label", "--queries", "empty.csv", "--images", "images", "--no-browser")
    assert (done.code, "has no rows" in done.stderr) == (3, True)
    done = dfal("label", "--queries", "none.csv", "--images", "images", "--no-browser")
    assert (done.code, "none.csv: no such file" in done.stderr) == (2, True)


def test_a_list_for_another_image_root(in_tmp: Path) -> None:
    draw_list(in_tmp, 3)
    (in_tmp / "images").rename(in_tmp / "photos")
    (in_tmp / "elsewhere/photos").mkdir(parents=True)
    done = dfal("label", "--queries", "queries.csv", "--images", "elsewhere", "--no-browser")
    assert (done.code, "its images are not under elsewhere" in done.stderr) == (3, True)
    done = dfal("label", "--queries", "queries.csv", "--images", ".", "--no-browser")
    assert (done.code, "photos/000.png exists" in done.stderr) == (3, True)


def test_a_port_that_is_taken(in_tmp: Path) -> None:
    with served(draw_list(in_tmp, 1), in_tmp / "images") as page:
        done = dfal("label", "--queries", "queries.csv", "--images", "images", "--no-browser", "--port", page.port)
    assert (done.code, "choose another --port" in done.stderr) == (2, True)


def test_ctrl_c_ends_with_a_summary_and_sigterm_as_any_command(in_tmp: Path) -> None:
    write(draw_list(in_tmp, 3), "image,label", "000.png,hat", "001.png,__skip__", "002.png,")
    command = ("label", "--queries", "queries.csv", "--images", "images", "--no-browser", "--merge", "labels.csv")
    with started(*command, "--json") as one, started(*command) as other:
        for process in (one, other):
            said(process, "Ctrl-C ends")
        one.send_signal(signal.SIGINT)
        other.send_signal(signal.SIGTERM)
        done = ended(one)
        assert done.code == 0
        result = json.loads(done.stdout)
        assert (result["status"], result["counts"]["answered"], result["counts"]["left"]) == ("unfinished", 2, 1)
        assert "2 of 3 answered" in done.stderr
        assert "not merged into labels.csv" in done.stderr
        stopped = ended(other)
        assert (stopped.code, "Traceback" in stopped.stderr) == (143, False)
    assert not Path("labels.csv").exists()


def test_the_server_ends_though_a_reply_wakes_it_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wake = trigger._physical_pull

    def wake_twice(self: trigger) -> None:
        wake(self)
        time.sleep(0.1)  # the server has done by now what it was woken for
        wake(self)

    monkeypatch.setattr(trigger, "_physical_pull", wake_twice)
    with served(draw_list(tmp_path, 4), tmp_path / "images", class_names=["hat"]) as page:
        assert page.get("state").json["left"] == 4

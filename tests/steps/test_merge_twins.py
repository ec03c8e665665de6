"""merge: how twins are found and referred to."""

from pathlib import Path

import numpy as np
import pandas as pd

from dfal_cli.tables import read_labels_files
from tests.conftest import Ended, dfal, write


def merge(queries: str, labels: str, *arguments: object) -> Ended:
    return dfal("merge", "--queries", queries, "--labels", labels, *arguments)


def twin(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.zeros((1, 2, 2), np.float32))


def twins(path: str = "labels.csv") -> dict[str, str]:
    return pd.read_csv(path, dtype=str, keep_default_na=False).set_index("image")["twin"].to_dict()


def test_twins_are_looked_for_beside_the_list_and_then_beside_the_labels(in_tmp: Path) -> None:
    for path in ("round/t/both.npy", "data/t/both.npy", "data/t/moved.npy"):
        twin(path)
    list_ = ("image,label,twin", "a.png,x,t/both.npy", "b.png,x,t/moved.npy", "c.png,y,t/gone.npy", "d.png,y,")
    write(in_tmp / "round" / "q.csv", *list_)
    told = merge("round/q.csv", "data/labels.csv", "--json").json
    expected = {"a.png": "../round/t/both.npy", "b.png": "t/moved.npy", "c.png": "", "d.png": ""}
    assert twins("data/labels.csv") == expected
    assert told["counts"]["merged"] == 4
    assert any("1 of" in warning and "twin" in warning for warning in told["warnings"])


def test_labels_written_elsewhere_still_lead_to_their_twins(in_tmp: Path) -> None:
    twin("data/t/old.npy")
    twin("round/t/new.npy")
    write(in_tmp / "data" / "labels.csv", "image,label,twin", "a.png,x,t/old.npy")
    write(in_tmp / "round" / "q.csv", "image,label,twin", "b.png,x,t/new.npy")
    before = Path("data/labels.csv").read_bytes()
    ended = merge("round/q.csv", "data/labels.csv", "--out", "far/away/l.csv")
    assert (ended.code, ended.stdout, Path("data/labels.csv").read_bytes()) == (0, "far/away/l.csv\n", before)
    assert twins("far/away/l.csv") == {"a.png": "../../data/t/old.npy", "b.png": "../../round/t/new.npy"}


def test_no_answers_and_no_labels_can_be_written_elsewhere(in_tmp: Path) -> None:
    write(in_tmp / "q.csv", "image,label", "a.png,")
    for number, labels in enumerate((None, "image,label,twin\n", "image,label,twin\nb.png,x,\n")):
        if labels is not None:
            (in_tmp / "labels.csv").write_text(labels)
        out = f"far{number}/l.csv"
        assert merge("q.csv", "labels.csv", "--out", out).code == 0
        assert Path(out).read_text() == (labels or "image,label,twin\n")


def test_an_answer_without_a_twin_leaves_the_twin_that_is_known(in_tmp: Path) -> None:
    twin("t/a.npy")
    write(in_tmp / "labels.csv", "image,label,twin", "a.png,,t/a.npy", "b.png,x,")
    write(in_tmp / "q.csv", "image,label", "a.png,x")
    assert merge("q.csv", "labels.csv").code == 0
    assert twins()["a.png"] == "t/a.npy"


def test_twins_survive_folders_that_are_links(in_tmp: Path) -> None:
    twin("t/a.npy")
    Path("real/deep/lab").mkdir(parents=True)
    Path("lab").symlink_to("real/deep/lab")
    write(in_tmp / "q.csv", "image,label,twin", "a.png,x,t/a.npy")
    ended = merge("q.csv", "lab/labels.csv", "--json")
    assert ended.json["warnings"] == []
    assert twins("lab/labels.csv") == {"a.png": "../../../t/a.npy"}
    for file in ("lab/labels.csv", "real/deep/lab/labels.csv"):
        assert Path(read_labels_files([Path(file)])["twin"][0]).samefile("t/a.npy")

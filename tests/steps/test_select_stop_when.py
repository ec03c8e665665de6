"""select --stop-when: a script can stop when more labels are hardly worth it."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ended, dfal, draw_folder
from tests.steps.finished_rounds import write_list, write_round


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """Four rounds, all of which predict the same; the newest has no list yet. The test runs there."""
    draw_folder(in_tmp)
    for number in range(1, 5):
        folder = write_round(number, 20 * number, 0.8, margin=0.1 * number)
        if number < 4:
            write_list(folder, "000.png,dark,", "001.png,light,")
    return in_tmp


def select(*arguments: object, rounds: tuple[object, ...] = ("--rounds", "rounds")) -> Ended:
    out = "rounds/004/queries.csv"
    return dfal("select", "--scores", "rounds/004/scores.parquet", "--count", 3, "--out", out, *rounds, *arguments)


@pytest.mark.parametrize("rules", ["stable", "margins", "flat", "stable,margins,flat"])
def test_no_list_is_written_and_the_exit_code_is_4_if_the_rules_hold(house: Path, rules: str) -> None:
    ended = select("--stop-when", rules, "--preview", "p.html")
    assert (ended.code, ended.stdout) == (4, ""), ended.stderr
    assert f"no list is written (--stop-when): {rules.split(',', maxsplit=1)[0]}: " in ended.stderr
    assert not Path("rounds/004/queries.csv").exists()
    assert not Path("p.html").exists()


def test_json_says_which_rules_hold_and_why(house: Path) -> None:
    told: dict[str, Any] = select("--stop-when", "stable", "--json").json
    assert (told["status"], told["stopping"]["stable"]["holds"]) == ("stopped", True)
    assert "Cohen's kappa" in told["stopping"]["stable"]["reason"]


def test_of_several_rules_all_must_hold(house: Path) -> None:
    write_round(4, 80, 0.99, margin=0.4)
    assert select("--stop-when", "stable").code == 4
    ended = select("--stop-when", "stable,flat")
    assert (ended.code, ended.stdout) == (0, "rounds/004/queries.csv\n"), ended.stderr


def test_a_list_that_exists_is_left_to_be_answered(house: Path) -> None:
    assert select(rounds=()).code == 0
    ended = select("--stop-when", "stable", "--json")
    assert (ended.code, ended.json["status"]) == (0, "up to date")


def test_a_rule_that_cannot_be_judged_yet_does_not_hold(house: Path) -> None:
    assert select("--stop-when", "stable", rounds=()).code == 0


def test_scores_outside_the_folder_of_rounds_count_as_the_newest(house: Path) -> None:
    Path("rounds/004/scores.parquet").rename("s.parquet")
    ended = dfal(
        "select", "--scores", "s.parquet", "--count", 3, "--out", "q.csv", "--rounds", "rounds", "--stop-when", "stable"
    )
    assert ended.code == 4, ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scores", "rounds/004/scores.parquet", "--stop-when", "stabel"), "did you mean stable?"),
        (("--scores", "rounds/004/scores.parquet", "--rounds", "rounds"), "--rounds: no effect without --stop-when"),
        (("--images", "images", "--strategy", "random", "--stop-when", "stable"), "--stop-when: requires --scores"),
    ],
)
def test_options_that_cannot_work_are_refused(house: Path, arguments: tuple[object, ...], said: str) -> None:
    ended = dfal("select", "--count", 3, "--out", "q.csv", *arguments)
    assert (ended.code, said in ended.stderr) == (2, True), ended.stderr

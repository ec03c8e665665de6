"""Options from a YAML file."""

from pathlib import Path

import pytest

from tests.conftest import Ended, dfal, draw_folder, write

FIRST = ("select", "--config", "dfal.yaml")
BASE = ("select:", "  images: images", "  strategy: random", "  out: q.csv")


@pytest.fixture
def house(in_tmp: Path) -> Path:
    return draw_folder(in_tmp, each=4)


def config(*lines: str) -> Path:
    return write(Path("dfal.yaml"), *lines)


def queries(path: str = "q.csv") -> int:
    return len(Path(path).read_text().splitlines()) - 1


def train(*arguments: object) -> Ended:
    files = ("--images", "images", "--labels", "oracle.csv", "--out", "m.safetensors")
    return dfal("train", *files, "--config", "dfal.yaml", "--epochs", 1, "--device", "cpu", *arguments)


def test_all_options_may_be_in_the_file(house: Path) -> None:
    config(*BASE, "  count: 3")
    ended = dfal(*FIRST)
    assert (ended.code, ended.stdout, queries()) == (0, "q.csv\n", 3)


def test_the_command_line_takes_precedence_over_the_file(house: Path) -> None:
    config(*BASE, "  count: 3")
    assert dfal(*FIRST, "--count", 5, "--out", "r.csv").stdout == "r.csv\n"
    assert queries("r.csv") == 5


def test_each_command_reads_only_its_own_section(house: Path) -> None:
    config("train:", "  epochs: 7", "merge:", "  on-conflict: keep", *BASE, "  count: 2")
    assert dfal(*FIRST).code == 0
    config("train:", "  epochs: 7")
    assert "Missing option '--count'" in dfal(*FIRST).stderr


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["select:", "  cuont: 3"], "dfal.yaml, line 2: select has no option cuont; did you mean count?"),
        (["select:", "  with_predictions: true"], "did you mean with-predictions?"),
        (["select:", "  zzz: 3"], "select has no option zzz"),
        (["select:", "  epochs: 3"], "select has no option epochs"),
        (["select:", "  config: other.yaml"], "dfal.yaml, line 2: select has no option config"),
        (["select:", "  version: true"], "dfal.yaml, line 2: select has no option version"),
        (["select:", "  help: true"], "dfal.yaml, line 2: select has no option help"),
        (
            ["select:", "  quiet: true", "  q: no"],
            "dfal.yaml, line 3: quiet and q are the same option; keep one of them",
        ),
        (["selct:", "  count: 3"], "dfal.yaml, line 1: no command selct; did you mean select?"),
        (["count: 3"], "dfal.yaml, line 1: no command count"),
        (["docs:", "  topic: cron"], "dfal.yaml, line 1: no command docs"),
        (
            ["- 1"],
            "dfal.yaml: has no sections; put the options under train:, score:, select:, label:, merge:, predict:",
        ),
        ([""], "dfal.yaml: has no sections; put the options under train:, score:"),
        (["select: 3"], "dfal.yaml: section select must hold one option per line"),
        (["select: [1"], "dfal.yaml: not YAML"),
        (["select:", "  count: three"], "--count"),
        (["select:", "  count: 2", "  preview:"], "dfal.yaml, line 3: preview: has no value"),
        (["select:", "  count: 2", '  preview: ""'], "dfal.yaml, line 3: preview: has no value"),
        (["select:", "  count: 2", "  preview: []"], "dfal.yaml, line 3: preview: has no value"),
        (["select:", "  count: 2", '  exclude: [e.csv, ""]'], "dfal.yaml, line 3: exclude: has no value"),
        (["select:", "  count: 2", "  with-predictions: maybe"], "with-predictions"),
    ],
)
def test_a_mistake_in_the_file_is_reported_with_a_suggestion(house: Path, lines: list[str], message: str) -> None:
    config(*lines)
    ended = dfal(*FIRST, "--images", "images", "--strategy", "random", "--out", "q.csv")
    assert ended.code == 2
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) <= 2
    assert not Path("q.csv").exists()


def test_a_file_that_does_not_exist_is_named(house: Path) -> None:
    ended = dfal("select", "--config", "none.yaml", "--count", 1, "--out", "q.csv")
    assert ended.code == 2
    assert "none.yaml: no such file" in ended.stderr


@pytest.mark.parametrize(
    ("path", "reason"),
    [("oracle.csv/dfal.yaml", "Not a directory"), ("round.yaml", "Too many levels of symbolic links")],
)
def test_an_unreadable_file_is_reported_with_the_reason(house: Path, path: str, reason: str) -> None:
    (house / "round.yaml").symlink_to("round.yaml")
    ended = dfal("select", "--config", path, "--count", 1, "--out", "q.csv")
    assert ended.code == 2
    assert f"{path}: cannot be read: {reason} (--config)" in ended.stderr


@pytest.mark.parametrize("spelling", ["no,007", "[no, 007]", '["no", "007"]'])
def test_class_names_that_look_like_numbers_or_booleans_stay_text(house: Path, spelling: str) -> None:
    text = Path("oracle.csv").read_text()
    Path("oracle.csv").write_text(text.replace("dark", "no").replace("light", "007"))
    config("train:", f"  class-names: {spelling}")
    ended = train("--json")
    assert ended.code == 0, ended.stderr
    assert ended.json["classes"] == ["no", "007"]


def test_class_names_in_a_list_may_have_commas(house: Path) -> None:
    text = Path("oracle.csv").read_text()
    Path("oracle.csv").write_text(text.replace("dark", '"dark, big"'))
    config("train:", '  class-names: ["dark, big", light]')
    ended = train("--json")
    assert ended.code == 0, ended.stderr
    assert ended.json["classes"] == ["dark, big", "light"]


def test_a_file_named_like_a_number_or_a_word_is_that_file(house: Path) -> None:
    for name in ("007.csv", "no.csv"):
        config(*BASE[:3], "  count: 2", f"  out: {name}")
        assert dfal(*FIRST).stdout == f"{name}\n"


@pytest.mark.parametrize("value", ["e1.csv", "[e1.csv]", "[e1.csv, e2.csv]"])
def test_an_option_that_may_be_repeated_takes_one_value_or_a_list(house: Path, value: str) -> None:
    write(house / "e1.csv", "image", "000.png", "001.png")
    write(house / "e2.csv", "image", "001.png", "002.png")
    config(*BASE, "  count: 50", f"  exclude: {value}")
    assert dfal(*FIRST).code == 0
    assert queries() == (5 if "e2" in value else 6)


@pytest.mark.parametrize(
    ("line", "channels"),
    [("gray: true", 1), ("gray: no", 3), ("color: yes", 3), ("color: off", 1), ("color: false", 1)],
)
def test_either_flag_of_an_on_off_pair_may_be_in_the_file(house: Path, line: str, channels: int) -> None:
    config("train:", f"  {line}")
    assert train("--quiet").code == 0
    from dfal_cli.checkpoint import load_checkpoint

    assert load_checkpoint("m.safetensors").input_shape[0] == channels


def test_both_flags_of_an_on_off_pair_are_refused_even_if_they_agree(house: Path) -> None:
    config("train:", "  gray: true", "  color: false")
    ended = train()
    assert ended.code == 2
    assert "dfal.yaml, line 3: gray and color are the same option; keep one of them" in ended.stderr


@pytest.mark.parametrize(("value", "shown"), [("true", True), ("yes", True), ("on", True), ("false", False)])
def test_a_flag_without_an_opposite_is_true_or_false(house: Path, value: str, shown: bool) -> None:
    config(*BASE, "  count: 2", f"  json: {value}")
    assert dfal(*FIRST).stdout.startswith("{") == shown


def test_other_options_in_the_file_take_precedence_over_its_preset(trained: Path, in_tmp: Path) -> None:
    config("score:", "  preset: paper", "  candidates: 5")
    files = ("--images", trained / "images", "--checkpoint", trained / "model.safetensors", "--out", "s.parquet")
    ended = dfal("score", *files, "--config", "dfal.yaml", "--device", "cpu", "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json["counts"]["scored"] == 5

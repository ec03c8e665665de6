"""simulate: heads on embeddings, whose rounds are played in memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli.errors import DataError
from dfal_cli.steps.simulate import head_rounds
from dfal_cli.steps.simulate.options import Plan, SimulateOptions
from dfal_cli.steps.simulate.runs import RoundResult, RoundTask, Simulation
from dfal_cli.strategies import STRATEGIES
from dfal_cli.tables.embeddings import write_embeddings
from tests.conftest import Ended, dfal, write
from tests.page import Page

CLASSES = ("ant", "bee", "cat")
POOL, TEST = 60, 30
IMAGES = [f"{number:03d}.png" for number in range(POOL + TEST)]
POSSIBLE = [name for name in STRATEGIES if name != "bald"]
SEED = 7


def vectors() -> np.ndarray:
    """Three overlapping classes in eight dimensions; the image n is of the class n modulo 3."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((3, 8))
    noise = 0.7 * generator.standard_normal((POOL + TEST, 8))
    return (3 * (centres[np.arange(POOL + TEST) % 3] + noise)).astype(np.float32)


@pytest.fixture
def project(in_tmp: Path) -> Path:
    """e.parquet, oracle.csv with 60 images and test.csv with 30, where the test runs."""
    write_embeddings(in_tmp / "e.parquet", [(IMAGES, vectors())], {})
    rows = [f"{image},{CLASSES[number % 3]}" for number, image in enumerate(IMAGES)]
    write(in_tmp / "oracle.csv", "image,label", *rows[:POOL])
    write(in_tmp / "test.csv", "image,label", *rows[POOL:])
    return in_tmp


def simulate(out: str, *arguments: object, **replaced: object) -> Ended:
    options: dict[str, object] = {
        "embeddings": "e.parquet", "labels": "oracle.csv", "test": "test.csv", "initial": 6, "count": 4, "budget": 14,
        "trials": 1, "jobs": 1, "seed": SEED,
    }  # fmt: skip
    given = {name: value for name, value in (options | replaced).items() if value is not None}
    return dfal(
        "simulate", "--out", out, "--quiet", *(part for name in given for part in (f"--{name}", given[name])),
        *arguments,
    )  # fmt: skip


def results_of(out: str, *arguments: object, **replaced: object) -> pd.DataFrame:
    ended = simulate(out, *arguments, **replaced)
    assert ended.code == 0, ended.stderr
    return pd.read_csv(Path(out, "results.csv"))


def test_every_strategy_but_bald_is_played(project: Path) -> None:
    results = results_of("all", strategies=",".join(POSSIBLE))
    assert set(results["strategy"]) == set(POSSIBLE)
    for _, rows in results.groupby("strategy"):
        assert rows["annotations"].tolist() == [6, 10, 14]  # twins and pseudo-labels are no annotations
    assert results[results["round"] == 0]["accuracy"].nunique() == 1
    assert sorted(path.name for path in Path("all").iterdir() if not path.name.startswith(".")) == [
        "curves.png", "report.html", "results.csv", "timings.csv",
    ]  # fmt: skip


@pytest.mark.parametrize("strategy", ["dfal", "ceal", "egl", "coverage", "badge"])
def test_a_round_in_memory_is_the_round_of_the_commands(project: Path, strategy: str) -> None:
    """Two rounds by train, score, select and merge with the same seeds end with the same heads."""
    results = results_of("out", strategies=strategy, start="random")
    simulation = Simulation(None, None, {}, None, Path(), "", True)  # type: ignore[arg-type]
    object.__setattr__(simulation, "options", type("Options", (), {"seed": SEED}))
    entry = STRATEGIES[strategy]
    selecting = ("select", "--embeddings", "e.parquet", "--exclude", "test.csv", "--out")
    command(*selecting, "q0.csv", "--count", 6, "--strategy", "random", "--seed", simulation.seed(1, 0))
    merge("q0.csv")
    accuracies, losses = [], []
    for number in range(3):
        pseudo = Path(f"q{number}.csv.pseudo.csv")
        twins = () if entry.trains_on_twins else ("--no-twins",)
        further = ("--pseudo-labels", pseudo) if pseudo.exists() else ()
        trained = command(
            "train", "--embeddings", "e.parquet", "--labels", "labels.csv", "--test", "test.csv", "--out",
            "h.safetensors", "--class-names", ",".join(CLASSES), "--force", "--json", *twins, *further,
        ).json["test"]  # fmt: skip
        accuracies.append(trained["accuracy"])
        losses.append(trained["loss"])
        if number == 2:
            break
        measures = [part for name in entry.needs if name != "embedding" for part in ("--measure", name)]
        command(
            "score", "--embeddings", "e.parquet", "--checkpoint", "h.safetensors", "--labels", "labels.csv",
            "--exclude", "test.csv", "--out", "s.parquet", "--twins", 4 * entry.nearest, "--force", *measures,
        )  # fmt: skip
        command(
            "select", "--scores", "s.parquet", "--labels", "labels.csv", "--exclude", "test.csv", "--count", 4,
            "--strategy", strategy, "--round", number, "--seed", simulation.seed(1, number + 1), "--out",
            f"q{number + 1}.csv",
        )  # fmt: skip
        merge(f"q{number + 1}.csv")
    assert results["accuracy"].tolist() == pytest.approx(accuracies, abs=1e-6)
    assert results["loss"].tolist() == pytest.approx(losses, abs=2e-4)


def command(*arguments: object) -> Ended:
    ended = dfal(*arguments)
    assert ended.code == 0, ended.stderr
    return ended


def merge(queries: str) -> None:
    """Answer a query list by the oracle, and merge it."""
    labels = dict(line.split(",") for line in Path("oracle.csv").read_text().splitlines()[1:])
    table = pd.read_csv(queries, dtype=str, keep_default_na=False)
    table.assign(label=table["image"].map(labels)).to_csv(queries, index=False)
    command("merge", "--queries", queries, "--labels", "labels.csv", "--allow-new-classes")


def test_by_default_there_are_twenty_trials_of_fifteen_rounds_with_two_labels_per_class() -> None:
    options = SimulateOptions(embeddings=Path("e.parquet"), test=[], out=Path("out"))
    assert options.plan(classes=10) == Plan(initial=20, count=20, budget=300, trials=20)
    assert replace(options, count=5).plan(classes=10) == Plan(initial=20, count=5, budget=90, trials=20)


def test_the_report_describes_embeddings_instead_of_networks(project: Path) -> None:
    results_of("out", strategies="random")
    settings = Page(Path("out/report.html")).settings()
    assert settings["input"] == "embeddings of 8 numbers"
    assert settings["budget"] == "14"
    assert not {"epochs", "arch", "images", "torch"} & settings.keys()


def test_typical_starts_are_the_default_and_better_than_random_ones_and_differ_between_trials(project: Path) -> None:
    at_random = results_of("random", strategies="random", trials=6, initial=3, budget=4, start="random")
    typical = results_of("typical", strategies="random,dfal", trials=6, initial=3, budget=4)
    first = typical[typical["round"] == 0]
    assert first[first["strategy"] == "dfal"]["loss"].tolist() == first[first["strategy"] == "random"]["loss"].tolist()
    assert first["loss"].nunique() > 1
    assert first["accuracy"].mean() > at_random[at_random["round"] == 0]["accuracy"].mean() + 0.05


def test_the_number_of_jobs_changes_no_result(project: Path) -> None:
    one = results_of("one", strategies="dfal,badge")
    two = results_of("two", strategies="dfal,badge", jobs=2)
    assert two.equals(one)


def test_a_stopped_simulation_keeps_its_finished_runs_and_ends_with_the_same_results(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = results_of("undisturbed", strategies="entropy,random", trials=2)
    play = head_rounds.play
    played: list[str] = []

    def stopping(simulation: Simulation[head_rounds.EmbeddedImages], task: RoundTask) -> Iterator[RoundResult]:
        played.append(task.run.title)
        for number, result in enumerate(play(simulation, task)):
            if len(played) == 3 and number == 1:
                raise DataError("enough")
            yield result

    monkeypatch.setattr(head_rounds, "play", stopping)
    assert simulate("out", strategies="entropy,random", trials=2).code == 3
    assert len(pd.read_csv("out/results.csv")) == 6
    monkeypatch.setattr(head_rounds, "play", play)
    ended = simulate("out", "--json", strategies="entropy,random", trials=2)
    assert "resuming after 6 of 12 rounds" not in ended.stdout
    assert pd.read_csv("out/results.csv").equals(expected)
    assert simulate("out", "--json", strategies="entropy,random", trials=2).json["status"] == "up to date"


def test_candidates_are_drawn_from_the_pool_in_each_round(project: Path) -> None:
    whole = results_of("whole", strategies="entropy", budget=26)
    some = results_of("some", strategies="entropy", budget=26, candidates=8)
    assert whole["loss"][0] == some["loss"][0]
    assert (whole["loss"] != some["loss"])[1:].all()

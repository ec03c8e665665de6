"""Nights of labelling on embeddings, played with the commands: train, score, select, merge, and again."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dfal_cli.schemas import EMBEDDING
from dfal_cli.steps.merge.command import merge
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.score.command import score
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.select.command import select
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.steps.simulate.runs import Timer
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.reporting import Silent
from dfal_cli.tables import read_queries, write_csv

NIGHT = 20
"""Labels of the first list, and of each further one."""


class DataSet(NamedTuple):
    """A data set that prepare.py has unpacked, and its embeddings."""

    images: Path
    embeddings: Path
    oracle: Path
    test: Path
    left_out: tuple[Path, ...] = ()
    """Files that name further images which are not in the pool."""

    @classmethod
    def of(cls, data: Path, name: str) -> "DataSet":
        """The files of a data set in the folder that prepare.py has filled."""
        return cls(*(data / f"{name}{suffix}" for suffix in ("", "_lite0.parquet", "_train.csv", "_test.csv")))


class Night(NamedTuple):
    """What a night has left."""

    labels: pd.DataFrame
    """The labels so far: image and label."""
    test: dict[str, Any]
    """The test metrics of the head that was trained on them."""
    timer: Timer
    """Seconds of the training, and of scoring and selecting once that has ended."""


def nights(
    data: DataSet, folder: Path, start: str, strategy: str, budget: int, seed: int, scoring: dict[str, Any]
) -> Iterator[Night]:
    """Play nights until the budget is spent. start: strategy of the first list. scoring: options of `score`."""
    labels, checkpoint, scores = (folder / name for name in ("labels.csv", "model.safetensors", "scores.parquet"))
    answers = pd.read_csv(data.oracle, dtype=str).set_index("image")["label"]
    classes = tuple(sorted(set(answers)))
    training = TrainOptions(
        embeddings=data.embeddings, labels=[labels], test=[data.test], out=checkpoint, class_names=classes, force=True
    )
    queries = folder / "queries-0.csv"
    measures = [name for name in STRATEGIES[strategy].needs if name != EMBEDDING]
    outside = [data.test, *data.left_out]
    select(
        SelectOptions(strategy=start, count=NIGHT, out=queries, seed=seed, embeddings=data.embeddings, exclude=outside),
        Silent(),
    )
    for number in itertools.count(1):
        table = read_queries(queries)
        write_csv(queries, table.assign(label=table["image"].map(answers)))
        merge(MergeOptions(queries=queries, labels=labels, class_names=classes), Silent())
        timer = Timer()
        metrics = train(training, Silent()).details["test"]
        timer.stop()
        labelled = pd.read_csv(labels, dtype=str)
        yield Night(labelled, metrics, timer)
        if len(labelled) >= budget:
            return
        queries = folder / f"queries-{number}.csv"
        common: dict[str, Any] = {"labels": [labels], "seed": seed + number}
        scored = ScoreOptions(
            checkpoint=checkpoint, exclude=outside, measure=measures, out=scores,
            force=True, **common, **scoring,
        )  # fmt: skip
        score(scored, Silent())
        select(SelectOptions(scores=scores, strategy=strategy, count=NIGHT, out=queries, **common), Silent())
        timer.stop()

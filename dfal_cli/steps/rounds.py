"""The numbered folders of rounds, as round.sh writes them: what `status` reports and stopping rules look at."""

import itertools
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dfal_cli.errors import UsageError
from dfal_cli.schemas import IMAGE, PREDICTED
from dfal_cli.statistics.stopping import Accuracy, History, cohens_kappa
from dfal_cli.system.files import is_file
from dfal_cli.system.state_files import read_json
from dfal_cli.tables import read_queries, read_scores

SCORES, QUERIES, TRAINING, CHECKPOINT = "scores.parquet", "queries.csv", "train.json", "model.safetensors"
"""Files in the folder of a round."""

TEST, VALIDATION_FILE, CROSS_VALIDATION, HELD_OUT = (
    "test set", "validation file", "cross-validation", "held-out labels",
)  # fmt: skip
"""What an accuracy of a training is measured on. The last two are labelled images, which a strategy chose."""

CONTROL_SLICE = "control slice"

INDEPENDENT = (TEST, VALIDATION_FILE, CONTROL_SLICE)
"""What shows progress. The images that strategies choose get harder from round to round, so that the accuracy on them
may fall while the network gets better."""

VALIDATED_BY = {"cross-validation": CROSS_VALIDATION, "file": VALIDATION_FILE}
"""`validation_from` in the results of a training -> what its validation accuracy is measured on."""


class Measured(NamedTuple):
    """An accuracy that a training reported."""

    kind: str
    """What it is measured on, in words."""
    accuracy: Accuracy


class Point(NamedTuple):
    """A point of the learning curve."""

    labels: int
    measured: Measured


class Round:
    """A round, or a scores file by itself. Files are read when they are needed."""

    def __init__(self, number: int, scores: Path, queries: Path, training: Path) -> None:
        self.number, self.scores_file, self.queries_file = number, scores, queries
        self.training: dict[str, Any] = read_json(training) or {}
        """What `train --json` printed; empty if it is not there."""
        self.checkpoint = training.with_name(CHECKPOINT)

    @property
    def is_scored(self) -> bool:
        """Whether the pool was scored."""
        return is_file(self.scores_file)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Margins and predicted classes, indexed by image. Raises the errors of `read_scores`."""
        table = read_scores(self.scores_file, columns=("margin", PREDICTED)).table
        return table.set_index(_keys(table))

    def scores_of(self, keys: Iterable[str]) -> pd.DataFrame:
        """Return the scores of those of some images that have any; of a large pool, an index of all takes too much."""
        return self.scores[self.scores.index.isin(list(keys))]

    @cached_property
    def queries(self) -> pd.DataFrame | None:
        """The list, indexed by image; None if there is none. Raises the errors of `read_queries`."""
        if not is_file(self.queries_file):
            return None
        table = read_queries(self.queries_file)
        return table.set_index(_keys(table))

    @property
    def labelled(self) -> int | None:
        """Number of labels that the network of the round was trained on."""
        match self.training:
            case {"counts": {"labelled": int(count)}}:
                return count
        return None

    @property
    def measured(self) -> list[Measured]:
        """The accuracies that the training reported, the most independent first."""
        return [found for name in ("test", "validation") if (found := _measured(name, self.training)) is not None]

    @property
    def asked_margin(self) -> float:
        """The median margin of the list; nan if it is unknown."""
        if self.queries is None:
            return float("nan")
        known = self.scores_of(self.queries.index)["margin"].dropna()
        return float(known.median()) if len(known) else float("nan")


def read_rounds(folder: Path | None, newest: Path | None = None) -> list[Round]:
    """Return the rounds in the numbered folders of `folder`, and `newest`, a scores file, if it is of none of them.

    Raises UsageError if the folder does not exist or has no rounds.
    """
    found: list[Round] = []
    if folder is not None:
        numbered = sorted((each for each in folder.iterdir() if each.name.isdecimal()), key=lambda each: int(each.name))
        found = [Round(int(each.name), each / SCORES, each / QUERIES, each / TRAINING) for each in numbered]
        if not found:
            raise UsageError(f"{folder}: has no numbered folders of rounds (--rounds)")
    if newest is not None and not any(each.scores_file.resolve() == newest.resolve() for each in found):
        number = found[-1].number + 1 if found else 1
        found.append(Round(number, newest, newest.with_name(QUERIES), newest.with_name(TRAINING)))
    return found


def history_of(rounds: Sequence[Round], curve: Sequence[Point]) -> History:
    """Return what the stopping rules look at. Raises the errors of reading scores and lists.

    curve: the accuracies of the rounds, from `curve_of` in control_slices.py.
    """
    scored = [each for each in rounds if each.is_scored]
    kappas = [_agreement(one.scores, other.scores) for one, other in itertools.pairwise(scored)]
    asked = [each.asked_margin for each in scored[:-1]]
    smallest = float(scored[-1].scores["margin"].min()) if scored else float("nan")
    kind = curve[0].measured.kind if curve else ""
    accuracies = [each.measured.accuracy for each in curve]
    return History(kappas, [each for each in asked if not np.isnan(each)], smallest, accuracies, kind)


def _measured(name: str, training: dict[str, Any]) -> Measured | None:
    match training.get(name):
        case {"accuracy": share, "interval": [low, high], "examples": int(images)}:
            kind = TEST if name == "test" else VALIDATED_BY.get(training.get("validation_from", ""), HELD_OUT)
            return Measured(kind, Accuracy(float(share), (float(low), float(high)), images))
    return None


def _agreement(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Return the kappa of the predictions of two rounds for the images that both have scored."""
    rows = pc.index_in(pa.array(other.index), value_set=pa.array(one.index)).to_pandas().to_numpy("float64")
    is_common = ~np.isnan(rows)
    predicted = (one[PREDICTED].iloc[rows[is_common].astype(np.intp)], other[PREDICTED][is_common])
    codes, _ = pd.factorize(pd.concat(predicted))
    return cohens_kappa(*np.split(codes, 2))


def _keys(table: pd.DataFrame) -> pd.Index:
    names = table[IMAGE]
    is_plain = pc.all(pc.string_is_ascii(pa.array(names)), min_count=0).as_py()
    return pd.Index(names if is_plain else map(key_of, names), name="key")


def key_of(image: str) -> str:
    """Return the name of an image in Unicode NFC, to match tables: macOS saves é as two characters."""
    return normalize("NFC", image)

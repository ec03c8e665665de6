"""`score --nearest` over images in memory: all that the command does, less reading images and writing the table."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.images import NO_MAX_VALUES, DecodedBatch
from dfal_cli.measures import MeasureRunner, Settings
from dfal_cli.models import fast_pooling
from dfal_cli.schemas import SKIPPED
from dfal_cli.scoring.nearest import resolve_ties, walk_nearest
from dfal_cli.scoring.rows import OUTCOMES, Rows
from dfal_cli.scoring.scored import PoolMargins, score_all
from dfal_cli.scoring.scorer import MarginSettings, Scorer
from dfal_cli.scoring.works import SCORE, works_of
from dfal_cli.system.crew import ALONE
from dfal_cli.system.device import FittingBatches
from dfal_cli.system.parts import Parts
from dfal_cli.system.reporting import Silent

from .subjects import Trained

DEEPFOOL = MarginSettings("deepfool", "l2", 50, 0.02, None, False)


class Scored(NamedTuple):
    """The rows that `score` would write, and how it came to them."""

    rows: Rows
    examined: int
    """Images whose margin was begun."""

    @property
    def given_up(self) -> int:
        """Images that were walked a part of the way."""
        margins = self.rows.margins
        return int(((margins["outcome"] == OUTCOMES.index(SKIPPED)) & (margins["iterations"] > 0)).sum())

    def smallest(self, count: int) -> set[str]:
        """The images of the `count` smallest margins, as `select` would rank them."""
        return {self.rows.images[place] for place in self.rows.by_margin()[:count]}


def score_in_memory(trained: Trained, nearest: int, device: torch.device, *, everything: bool) -> Scored:
    """Score the pool of a trained network, everything or only what can be among the `nearest`.

    Either way the nearest are computed once more in float64, as the command does.
    """
    names = [f"{number:06d}" for number in range(len(trained.pool))]
    batches = FittingBatches(trained.batch, Silent())
    scorer = scorer_of(trained, names, batches, device)
    each = ALONE.start(works_of(scorer, MeasureRunner({}, trained.model, Settings("", 0, 0, print), batches), None), {})
    with tempfile.TemporaryDirectory() as folder, fast_pooling(trained.model):
        parts = Parts(Path(folder) / "scores", {})
        score = partial(each, SCORE, with_margins=everything, first=names[: batches.read])
        rows, _ = score_all(names, batches.read, parts.section("pool"), score, Silent())
        pool = PoolMargins(each, batches.read, rows, parts.section("margins"), Silent())
        examined = len(rows) if everything else walk_nearest(pool, nearest, seed=0).examined
        resolve_ties(pool, nearest)
    return Scored(rows, examined)


def scorer_of(trained: Trained, names: Sequence[str], batches: FittingBatches, device: torch.device) -> Scorer:
    """A Scorer whose stream takes the images from memory."""
    place = {name: number for number, name in enumerate(names)}

    def stream(images: Iterable[Sequence[str]]) -> Iterator[DecodedBatch]:
        for part in images:
            yield DecodedBatch(list(part), trained.pool[np.array([place[name] for name in part])], [], NO_MAX_VALUES)

    shape: tuple[int, int, int] = tuple(trained.pool.shape[1:])
    network = LoadedNetwork(trained.model, trained.classes, shape, device, {}, sha256="")
    return Scorer(network, DEEPFOOL, stream, batches, Silent())

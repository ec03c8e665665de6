"""The results of a batch: outcomes, and reasons why images have not crossed."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.images import NO_MAX_VALUES, DecodedBatch
from dfal_cli.margins import ESTIMATORS
from dfal_cli.margins.reasons import CAP_REACHED
from dfal_cli.schemas import CROSSED, SKIPPED, UNCROSSED
from dfal_cli.scoring.rows import OUTCOMES, REASONS, Block
from dfal_cli.scoring.scorer import MarginSettings, Scorer
from dfal_cli.system.device import FittingBatches
from dfal_cli.system.reporting import Silent

CHECKPOINT = Path(__file__).parents[1] / "data" / "lenet5_16px.safetensors"
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 1, 16, 16), dtype=np.uint8)


def margins(max_iterations: int = 50, **further: float) -> Block:
    """The margin rows of 40 images of noise."""

    def stream(images: Iterable[Sequence[str]]) -> Iterator[DecodedBatch]:
        yield from (DecodedBatch(list(batch), PIXELS, [], NO_MAX_VALUES) for batch in images)

    settings = MarginSettings("deepfool", "l2", max_iterations, 0.02, None, clip=False)
    scorer = Scorer(load_checkpoint(CHECKPOINT), settings, stream, FittingBatches(16, Silent()), Silent())
    (found,) = scorer.margins_of([[str(number) for number in range(len(PIXELS))]], **further)
    return found.margins


def of_outcome(rows: Block, outcome: str) -> Block:
    return rows[rows["outcome"] == OUTCOMES.index(outcome)]


@pytest.mark.parametrize("exact", [False, True])
def test_images_that_reach_the_cap_are_uncrossed_for_that_reason(exact: bool) -> None:
    rows = margins(max_iterations=1, exact=exact)
    crossed, uncrossed = of_outcome(rows, CROSSED), of_outcome(rows, UNCROSSED)
    assert len(crossed) + len(uncrossed) == len(rows)
    assert len(uncrossed) > 0
    assert set(uncrossed["why"]) == {REASONS.index(CAP_REACHED)}
    assert np.isnan(uncrossed["margin"]).all()
    assert set(crossed["why"]) <= {REASONS.index(None)}


def test_images_given_up_are_skipped_without_a_reason() -> None:
    lengths = np.sort(margins()["margin"])
    rows = margins(give_up_beyond=lengths[10])
    skipped, crossed = of_outcome(rows, SKIPPED), of_outcome(rows, CROSSED)
    assert len(skipped) + len(crossed) == len(rows)
    assert 0 < len(crossed) <= 20
    assert set(skipped["why"]) == {REASONS.index(None)}
    assert crossed["margin"].max() <= lengths[10]


def test_margins_are_those_of_the_estimator() -> None:
    images = torch.from_numpy(PIXELS).float() / 255
    crossing = ESTIMATORS["deepfool"](load_checkpoint(CHECKPOINT).model, images)
    rows = margins()
    np.testing.assert_allclose(rows["margin"], crossing.margin, rtol=1e-4)
    assert rows["crossing_class"].tolist() == crossing.crossing_class.tolist()

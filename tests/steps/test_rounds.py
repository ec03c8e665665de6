"""What rounds tell the stopping rules, from pools that shrink and lists that were asked."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from dfal_cli.steps.rounds import history_of, read_rounds
from tests.conftest import write, write_margins

COMPOSED, DECOMPOSED = "caf\u00e9.png", "cafe\u0301.png"


@pytest.mark.parametrize("others", [[], [COMPOSED]])
def test_rounds_are_compared_by_the_images_that_both_have_scored(tmp_path: Path, others: list[str]) -> None:
    generator = np.random.default_rng(0)
    pools = [sorted([*(f"{number:03d}.png" for number in range(start, 90)), *others]) for start in (0, 20, 50)]
    pools[1] = sorted(DECOMPOSED if image == COMPOSED else image for image in pools[1])  # as macOS would list it
    predicted = [dict(zip(pool, generator.choice(["a", "b", "c"], len(pool)).tolist(), strict=True)) for pool in pools]
    margins = [dict(zip(pool, generator.random(len(pool)).round(2).tolist(), strict=True)) for pool in pools]
    for number, pool in enumerate(pools):
        scores = tmp_path / f"{number + 1}" / "scores.parquet"
        write_margins(scores, tmp_path, margins[number], predicted=[predicted[number][image] for image in pool])
        asked = [*pool[:3], "gone.png"]
        write(scores.with_name("queries.csv"), "rank,image,label", *(f"{k},{image}," for k, image in enumerate(asked)))
    history = history_of(read_rounds(tmp_path), [])
    composed = [{image.replace(DECOMPOSED, COMPOSED): name for image, name in each.items()} for each in predicted]
    for kappa, (one, other) in zip(history.kappas, pairwise(composed), strict=True):
        common = sorted(one.keys() & other.keys())
        expected = cohen_kappa_score([one[image] for image in common], [other[image] for image in common])
        assert kappa == pytest.approx(expected)
    medians = [float(np.median([each[image] for image in pool[:3]])) for each, pool in zip(margins, pools, strict=True)]
    assert history.asked_margins == pytest.approx(medians[:2])

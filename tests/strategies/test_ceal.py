"""ceal: which images are certain enough to be trained on under the label the network gives them."""

import numpy as np
import pandas as pd
import pytest

from dfal_cli.strategies import STRATEGIES, confident_labels

OTHERS = pd.DataFrame(
    {
        "image": ["a", "b", "c", "d", "e"],
        "predicted": ["cat", "dog", "cat", "cow", "dog"],
        "entropy": np.array([0.0499, 0.0501, 0.02, 0, np.nan], np.float32),
    }
)


@pytest.mark.parametrize(
    ("round_number", "expected"),
    [
        (0, {0: "cat", 2: "cat", 3: "cow"}),  # 0.05
        (1, {2: "cat", 3: "cow"}),  # 0.0467
        (9, {2: "cat", 3: "cow"}),  # 0.0203
        (10, {3: "cow"}),  # 0.017
        (15, {3: "cow"}),  # 0.0005
        (16, {}),  # 0: not even the most certain one
        (100, {}),
    ],
)
def test_the_threshold_falls_round_by_round(round_number: int, expected: dict[int, str]) -> None:
    assert confident_labels(OTHERS, round_number).to_dict() == expected


def test_no_other_strategy_gives_pseudo_labels() -> None:
    assert [name for name, entry in STRATEGIES.items() if entry.pseudo_labels] == ["ceal"]

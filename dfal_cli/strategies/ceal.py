"""CEAL: what the network is sure of trains along, under the label it predicts (Wang et al., arXiv:1701.03551)."""

from typing import TYPE_CHECKING

from dfal_cli.schemas import PREDICTED

if TYPE_CHECKING:
    import pandas as pd

FIRST_THRESHOLD = 0.05
"""Nats."""
DECAY = 0.0033
"""The threshold is lower by so much each round: a network that knows more is sure of more."""


def confident_labels(others: "pd.DataFrame", round_number: int) -> "pd.Series[str]":
    """The predicted class of each row whose entropy is below the round's threshold, (0.05 - 0.0033 round) nats.

    others: the rows of the pool that are not asked about. None is below the threshold from round 16 on; others read
    the paper's decay as one of the threshold before, 0.0033 round lower each time, which ends at round 6.
    """
    threshold = max(0.0, FIRST_THRESHOLD - DECAY * round_number)
    return others.loc[others["entropy"] < threshold, PREDICTED]

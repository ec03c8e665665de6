"""What is said of a simulation whose networks did not learn: then nothing else it says means anything."""

import pandas as pd

from dfal_cli.pages.report_tables import percent
from dfal_cli.statistics.comparison import MeasuredOn, not_learnt, strategies_of


def who_did_not_learn(results: pd.DataFrame, measured_on: MeasuredOn) -> str:
    """The beginning of a sentence; "" if all networks have learnt something."""
    names = not_learnt(results, measured_on)
    if not names:
        return ""
    if len(names) == len(strategies_of(results)):
        return "none of these networks learnt"
    return f"the networks of {' and '.join(names)} did not learn"


def why_not_learnt(measured_on: MeasuredOn, what_to_try: str) -> str:
    """What that means, and what to do about it."""
    share = percent(measured_on.largest / measured_on.images)
    return (
        f"at the end they are no better on the {measured_on.images:,} test images than always naming the largest class "
        f"({share}). Check the labels, then try {what_to_try} (--initial, --budget)"
    )

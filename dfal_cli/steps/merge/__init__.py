"""merge: answered queries into labels.csv, losing nothing."""

from dfal_cli.steps.merge.command import merge
from dfal_cli.steps.merge.options import MergeOptions

__all__ = ["MergeOptions", "merge"]

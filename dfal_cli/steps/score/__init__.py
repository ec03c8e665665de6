"""score: measures of every image in the pool, the margin first of all."""

from dfal_cli.steps.score.command import score
from dfal_cli.steps.score.options import ScoreOptions

__all__ = ["ScoreOptions", "score"]

"""simulate: whole rounds with an oracle file that answers, to see what a strategy is worth before paying for labels."""

from dfal_cli.steps.simulate.command import simulate
from dfal_cli.steps.simulate.simulation import SimulateOptions

__all__ = ["SimulateOptions", "simulate"]

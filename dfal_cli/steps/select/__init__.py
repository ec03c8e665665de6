"""select: which images to ask about next, from a scores file, without a network."""

from dfal_cli.steps.select.command import select
from dfal_cli.steps.select.options import SelectOptions

__all__ = ["SelectOptions", "select"]

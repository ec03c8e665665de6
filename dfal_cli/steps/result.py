"""What a step gives back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Result:
    """Outputs and findings of a step; `--json` prints all of it."""

    outputs: list[Path]
    """The files written (or found up to date)."""
    summary: str
    """One sentence for a person."""
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    """Further results, ready for JSON."""
    status: str = "done"


def up_to_date(
    outputs: list[Path], counts: dict[str, int] | None = None, details: dict[str, Any] | None = None
) -> Result:
    """The result of a step whose output has been made from the same inputs before."""
    return Result(outputs, f"{outputs[0]}: up to date", counts or {}, details or {}, "up to date")

"""The result of a step."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Result:
    """Outputs, summary and numbers of a step; `--json` prints all of them."""

    outputs: list[Path]
    """Files that were written or are up to date."""
    summary: str
    """One sentence for a person."""
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    """Other results, ready for JSON."""
    status: str = "done"
    report: Sequence[str] = ()
    """Lines for stdout, where the answer is the result and not a file."""


def up_to_date(
    outputs: list[Path], counts: dict[str, int] | None = None, details: dict[str, Any] | None = None
) -> Result:
    """The result of a step whose output already exists and was made from the same inputs."""
    return Result(outputs, f"{outputs[0]}: up to date", counts or {}, details or {}, "up to date")

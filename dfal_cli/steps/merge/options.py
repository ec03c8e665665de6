"""What a merge is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dfal_cli.errors import UsageError
from dfal_cli.system.paths import check_paths, must_end_with
from dfal_cli.tables.class_names import class_name_error

ON_CONFLICT = ("error", "keep", "replace")


@dataclass(frozen=True)
class MergeOptions:
    """The options of `dfal merge`; their help stands in the command."""

    queries: Path
    labels: Path
    out: Path | None = None
    images: Path | None = None
    follow_links: bool = False
    allow_new_classes: bool = False
    class_names: Sequence[str] | None = None
    on_conflict: str = "error"
    dry_run: bool = False
    wait: float = 0.0
    force: bool = False

    @property
    def root(self) -> Path | None:
        """The image root, as far as it is known: a folder of answers is one, unless another is named."""
        return self.images or (self.queries if self.queries.is_dir() else None)

    @property
    def target(self) -> Path:
        """The file to write."""
        return self.out or self.labels


def check(options: MergeOptions) -> None:
    """Raises UsageError if the options say nothing that can be done."""
    named = "--out" if options.out else "--labels"
    must_end_with(options.target, (".csv",), named)
    folders = {"--images": options.images}
    if options.queries.is_dir():
        folders["--queries"] = options.queries
    check_paths({"--queries": [] if "--queries" in folders else [options.queries]}, {named: [options.target]}, folders)
    if options.on_conflict not in ON_CONFLICT:
        raise UsageError(f"--on-conflict {options.on_conflict}: use one of {', '.join(ON_CONFLICT)}")
    problem = class_name_error(tuple(dict.fromkeys(options.class_names or ())))
    if problem is not None:
        raise UsageError(f"--class-names: {problem}")

"""Checks of the options of `dfal explain`."""

from pathlib import Path

from dfal_cli.errors import UsageError
from dfal_cli.steps.explain.options import ExplainOptions
from dfal_cli.steps.option_groups import may_be_folder
from dfal_cli.system.paths import check_paths, must_end_with


def check(options: ExplainOptions) -> None:
    """Raise UsageError if nothing is named that knows the image, or if a path cannot be used."""
    if options.queries is None and options.scores is None:
        raise UsageError("name the list with --queries, or the scores with --scores")
    inputs: dict[str, list[Path] | list[Path | None]] = {
        "--queries": [options.queries], "--scores": [options.scores], "--embeddings": [options.embeddings],
        "--labels": [*options.labels],
    }  # fmt: skip
    check_paths(inputs, {"--page": [options.page]}, {"--images": options.images}, may_be_folder)
    if options.page is not None:
        must_end_with(options.page, (".html", ".htm"), "--page")
        if options.page.exists() and not options.force:
            _must_be_own(options.page)


def _must_be_own(page: Path) -> None:
    from dfal_cli.pages.explanation import GENERATOR
    from dfal_cli.pages.template import is_made_by

    if not is_made_by(GENERATOR, page):
        raise UsageError(
            f"{page}: exists and was not written by `dfal explain`; choose another --page, or use --force to "
            "overwrite it"
        )

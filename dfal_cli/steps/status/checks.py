"""Checks of the options of `dfal status`."""

from dfal_cli.errors import UsageError
from dfal_cli.steps.option_groups import may_be_folder
from dfal_cli.steps.status.options import StatusOptions
from dfal_cli.system.paths import check_paths, must_end_with


def check(options: StatusOptions) -> None:
    """Raise UsageError if an option is invalid, an input is missing, or the page would overwrite another file."""
    if options.images and options.embeddings:
        raise UsageError("--images, --embeddings: both say which images there are; use one of them")
    if not 0 < options.target < 1:
        raise UsageError(f"--target {options.target:g}: must be between 0 and 1, such as 0.95")
    if options.page:
        must_end_with(options.page, (".html", ".htm"), "--page")
    check_paths(
        {
            "--labels": options.labels, "--test": options.test, "--scores": [options.scores],
            "--embeddings": [options.embeddings],
        },
        {"--page": [options.page]},
        {"--images": options.images, "--rounds": options.rounds},
        may_be_folder,
    )  # fmt: skip
    if options.page and options.page.exists() and not options.force:
        from dfal_cli.pages.status import is_status_page

        if not is_status_page(options.page):
            raise UsageError(
                f"{options.page}: exists and is not a status page of dfal; choose another --page, or use --force to "
                "overwrite it"
            )

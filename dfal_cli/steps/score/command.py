"""score: compute margins and other measures for every image of the pool."""

from dfal_cli.images import ImageSource
from dfal_cli.schemas import META_SUFFIX
from dfal_cli.steps.option_groups import may_be_folder
from dfal_cli.steps.result import Result
from dfal_cli.steps.score.checks import check
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.score.outputs import OPTIONAL_OUTPUTS, companions
from dfal_cli.system.crew import ALONE, Crew
from dfal_cli.system.paths import check_paths
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import refuse_foreign_files


def score(options: ScoreOptions, reporter: Reporter, images: ImageSource | None = None, crew: Crew = ALONE) -> Result:
    """Score the pool and write one row per image, and with --twins the twins of the nearest images.

    Margins are measured in the space of what is given: pixels of `options.images`, or `options.embeddings`. `images`
    replace the folder `options.images`, if given. crew: the processes that score images.
    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    suffixes = OPTIONAL_OUTPUTS if options.out.suffix.lower() != ".csv" else (META_SUFFIX, *OPTIONAL_OUTPUTS)
    check_paths(
        {
            "--embeddings": [options.embeddings], "--checkpoint": [options.checkpoint],
            "--labels": options.labels, "--exclude": options.exclude,
        },
        {"--out": [options.out, *companions(options.out, suffixes)], "--twins-dir": [options.twins_dir]},
        may_be_folder=may_be_folder,
    )  # fmt: skip
    if not options.force:
        refuse_foreign_files(options.out, suffixes)
    if options.embeddings is not None:
        from dfal_cli.steps.score.embeddings import score_embeddings

        return score_embeddings(options, options.embeddings, reporter)
    assert options.images is not None  # guaranteed by `check`
    from dfal_cli.steps.score.pixels import score_pixels

    return score_pixels(options, options.images, reporter, images, crew)

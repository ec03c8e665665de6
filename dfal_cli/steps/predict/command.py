"""predict: the predicted class of every image."""

import contextlib
import dataclasses
from collections.abc import Iterator

from dfal_cli.images import ImageSource
from dfal_cli.steps.predict.checks import check
from dfal_cli.steps.predict.options import PredictOptions
from dfal_cli.steps.result import Result
from dfal_cli.system.crew import ALONE, Crew
from dfal_cli.system.files import locked
from dfal_cli.system.reporting import Reporter


def predict(
    options: PredictOptions, reporter: Reporter, images: ImageSource | None = None, crew: Crew = ALONE
) -> Result:
    """Predict the images, and write one row per image; with --to-folder also a folder per class.

    `images` replace the folder `options.images`, if given. An interrupted call keeps its finished part, from which the
    same call resumes. crew: the processes that predict images.
    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    with _locked_outputs(options, reporter):
        if options.to_folder is None:
            return _write_table(options, reporter, images, crew)
        from dfal_cli.steps.predict.class_folders import image_root, write_class_folders

        root = image_root(options, options.to_folder)
        result = _write_table(options, reporter, images, crew)
        folders = write_class_folders(options, options.to_folder, root, reporter)
        return dataclasses.replace(result, outputs=[*result.outputs, *folders])


def _write_table(options: PredictOptions, reporter: Reporter, images: ImageSource | None, crew: Crew) -> Result:
    if options.embeddings is not None:
        from dfal_cli.steps.predict.embeddings import predict_embeddings

        return predict_embeddings(options, options.embeddings, reporter)
    from dfal_cli.steps.predict.pixels import predict_images

    assert options.images is not None  # guaranteed by `check`
    return predict_images(options, options.images, reporter, images, crew)


@contextlib.contextmanager
def _locked_outputs(options: PredictOptions, reporter: Reporter) -> Iterator[None]:
    with contextlib.ExitStack() as locks:
        locks.enter_context(locked(options.out, options.wait, reporter.note, may_be_complete=True))
        if options.to_folder is not None:
            locks.enter_context(locked(options.to_folder, options.wait, reporter.note, folder=True))
        yield

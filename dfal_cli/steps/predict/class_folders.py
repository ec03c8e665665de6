"""predict --to-folder: a folder per predicted class, of links to the images, or of copies where links cannot be."""

from pathlib import Path

from dfal_cli.errors import DataError, UsageError, shown
from dfal_cli.images import ImageError, ImageFile, resolve_image
from dfal_cli.images.files import put
from dfal_cli.steps.predict.options import PredictOptions
from dfal_cli.steps.written_folder import outputs_up_to_date, written_into
from dfal_cli.system.fingerprints import digest_of_many
from dfal_cli.system.folders import link_or_copy
from dfal_cli.system.image_roots import ImageRoot, is_image_root, resolved
from dfal_cli.system.paths import must_be_outside, root_named_in_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.embeddings import read_embeddings_metadata
from dfal_cli.tables.predictions import read_predicted
from dfal_cli.tables.tools.class_folders import write_guesses
from dfal_cli.tables.tools.forms import Handover

OPTION = "--to-folder"


def write_class_folders(options: PredictOptions, folder: Path, root: ImageRoot, reporter: Reporter) -> list[Path]:
    """Link the images in the predictions file, which are under `root`, from a folder per class; return the folder."""
    predicted = list(read_predicted(options.out))
    inputs = {"settings": {}, "root": str(root), "predictions": digest_of_many(predicted)}
    done = outputs_up_to_date(folder, inputs, "predict", OPTION, force=options.force)
    if done:
        return done
    files: dict[str, ImageFile] = {}
    for image, _ in predicted:
        try:
            files[image] = resolve_image(root, image, follow_links=options.follow_links)
        except ImageError as error:
            raise DataError(f"{root}: image {shown(image)}: {error}") from None
    images, classes = ([row[place] for row in predicted] for place in (0, 1))
    handed = Handover(root, images, classes, (), lambda image, path: put(files[image], path, link_or_copy), _no_size)
    with reporter.busy("linking the images"):
        return written_into(folder, lambda temporary: write_guesses(handed, temporary), inputs)


def image_root(options: PredictOptions, folder: Path) -> ImageRoot:
    """Return where the images are. Raises UsageError if the embeddings do not name one that exists.

    folder: that of the classes, which must be outside.
    """
    if options.images is not None:
        return resolved(options.images)
    assert options.embeddings is not None  # one of the two is given
    root = read_embeddings_metadata(options.embeddings).get("image_root")
    path = root_named_in_file(root, options.embeddings) if isinstance(root, str) else None
    if path is None or not is_image_root(path):
        raise UsageError(
            f"{OPTION}: {options.embeddings} does not say where its images are; predict with --images instead"
        )
    must_be_outside(folder, path, OPTION)
    return resolved(path)


def _no_size(image: str) -> tuple[int, int]:
    raise NotImplementedError("folders of images need no sizes")

"""The label tables of a training on images, and the hashes of the files they are read from."""

from dfal_cli.images import ImageSource
from dfal_cli.images.pool import image_names, report_unread
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.fingerprints import sha256_or_empty
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.label_sets import LabelSets, check_images_exist, folder_labels, read_label_sets


def label_hashes(options: TrainOptions) -> dict[str, list[str]]:
    """Hashes of the labels files before training, during which answers may be merged into them."""
    files = {"labels": options.labels, "pseudo_labels": options.pseudo_labels}
    return {f"{name}_sha256": [sha256_or_empty(path) for path in paths] for name, paths in files.items()}


def labels_of_images(options: TrainOptions, source: ImageSource, reporter: Reporter) -> LabelSets:
    """Read the labels of images. Raises the errors of `read_label_sets` and `check_images_exist`."""
    names, from_folders = image_names(source), None
    if options.labels_from_folders:
        listing = source.listing()
        report_unread(source.root, listing, reporter)
        from_folders = folder_labels(source.root, listing.images, reporter)
    sets = read_label_sets(
        options.labels, options.validation, options.test, options.pseudo_labels, options.class_names, reporter,
        names, from_folders,
    )  # fmt: skip
    check_images_exist(names, (sets.validation, sets.test))
    return sets

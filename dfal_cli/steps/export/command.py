"""export: hand a query list over to a labelling tool."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dfal_cli.errors import DataError, UsageError, plural, shown
from dfal_cli.images import ImageError, ImageFile, ImageFolder, resolve_image
from dfal_cli.images.files import put, state_of
from dfal_cli.images.pool import image_names
from dfal_cli.schemas import IMAGE, LABEL, RANK
from dfal_cli.steps.export.checks import check
from dfal_cli.steps.export.options import ExportOptions
from dfal_cli.steps.option import settings_of
from dfal_cli.steps.result import Result
from dfal_cli.steps.written_folder import outputs_up_to_date, written_into
from dfal_cli.system.files import locked
from dfal_cli.system.fingerprints import digest_of_many
from dfal_cli.system.folders import copy, link
from dfal_cli.system.image_roots import resolved
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import is_blank, labelled_rows, read_labels_files, read_queries
from dfal_cli.tables.tools import EXPORTS
from dfal_cli.tables.tools.forms import Handover


def export(options: ExportOptions, reporter: Reporter) -> Result:
    """Write the images of a list as a labelling tool reads them, into a folder.

    Raises UsageError, DataError or TryAgainError, as documented for the command; nothing is written then.
    """
    check(options)
    to = EXPORTS[options.to]
    source = ImageFolder(options.images, follow_links=options.follow_links)
    with locked(options.out, options.wait, reporter.note, folder=True):
        table, missing = _ranked(options, source, reporter)
        files = _files(options, source, table[IMAGE])
        handed = _handover(options, source, table, files)
        if to.needs_classes and not handed.classes:
            raise UsageError(f"--to {options.to}: no classes are known; name them with --class-names or --labels")
        inputs = _inputs(options, handed, files)
        done = outputs_up_to_date(options.out, inputs, "export", "--out", force=options.force)
        outputs = done or written_into(options.out, lambda folder: to.write(handed, folder), inputs)
    for line in to.instructions(handed.root, options.out):
        reporter.note(line)
    answered = sum(map(bool, handed.labels))
    counts = {"images": len(handed.images), "answered": answered, "missing": missing, "classes": len(handed.classes)}
    status, summary = ("up to date", f"{options.out}: up to date") if done else ("done", _summary(to.title, counts))
    return Result(outputs, summary, counts, {}, status)


def _ranked(options: ExportOptions, source: ImageFolder, reporter: Reporter) -> tuple[pd.DataFrame, int]:
    """Return the rows of the list whose images exist, by rank, and the number of the others."""
    table = read_queries(options.queries)
    names = image_names(source)
    matching = names.matched(lambda missing: reporter.warn(f"{missing}; the export leaves them out"))
    table = table.assign(**{IMAGE: matching(options.queries, table[IMAGE])})
    exists = table[IMAGE].map(names.is_there).astype(bool)
    if table.empty:
        raise DataError(f"{options.queries}: no images")
    if RANK in table:
        ranks = pd.to_numeric(table[RANK], errors="coerce")
        table = table.loc[ranks.sort_values(kind="stable", na_position="last").index]
    return table[exists[table.index]], int((~exists).sum())


def _files(options: ExportOptions, source: ImageFolder, images: Iterable[str]) -> dict[str, ImageFile]:
    """Return the file of each image. Raises UsageError if the tool cannot show one where it is.

    Raises DataError for the first image that is not under the root: a link may lead to any file of the machine.
    """
    files: dict[str, ImageFile] = {}
    for image in images:
        try:
            files[image] = resolve_image(resolved(source.root), image, follow_links=source.follow_links)
        except ImageError as error:
            raise DataError(f"{source.root}: image {shown(image)}: {error}") from None
        if not (isinstance(files[image], Path) or EXPORTS[options.to].holds_images):
            copying = [name for name, each in EXPORTS.items() if each.holds_images]
            raise UsageError(
                f"--to {options.to}: names images by their files on disk, and {shown(image)} has none; use --to "
                f"{' or '.join(copying)}, which copy the images, or unpack them"
            )
    return files


def _handover(
    options: ExportOptions, source: ImageFolder, table: pd.DataFrame, files: Mapping[str, ImageFile]
) -> Handover:
    labels = table[LABEL].mask(is_blank(table[LABEL]), "")
    known = {*labelled_rows(read_labels_files(options.labels))[LABEL], *labelled_rows(table)[LABEL]}
    classes = list(dict.fromkeys(options.class_names or ()))
    return Handover(
        resolved(options.images), list(table[IMAGE]), list(labels), [*classes, *sorted(known - {*classes})],
        lambda image, path: put(files[image], path, copy if options.copy else link), _size_of(source),
    )  # fmt: skip


def _size_of(source: ImageFolder) -> Callable[[str], tuple[int, int]]:
    def size_of(image: str) -> tuple[int, int]:
        try:
            probe = source.probe(image)
        except ImageError as error:
            raise DataError(f"{source.root}: image {shown(image)}: {error}; remove it from the list") from None
        return probe.width, probe.height

    return size_of


def _inputs(options: ExportOptions, handed: Handover, files: Mapping[str, ImageFile]) -> dict[str, Any]:
    """What determines the output, ready for JSON: copies also change with their images."""
    linked = {image for image, file in files.items() if isinstance(file, Path) and not options.copy}
    states = [None if image in linked else state_of(files[image]) for image in handed.images]
    return {
        "settings": settings_of(options),
        "root": str(handed.root),
        "list": digest_of_many([*zip(handed.images, handed.labels, states, strict=True)]),
        "classes": list(handed.classes),
    }


def _summary(title: str, counts: dict[str, int]) -> str:
    images, answered, missing = counts["images"], counts["answered"], counts["missing"]
    left_out = f", {missing} missing" if missing else ""
    return f"{images} {plural(images, 'image')} for {title} ({answered} with a label{left_out})"

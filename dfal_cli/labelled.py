"""Embeddings of the images that are labelled already: strategies that spread their picks keep away from those too."""

from collections.abc import Sequence
from pathlib import Path

from dfal_cli.files import is_file
from dfal_cli.measures import Gathered
from dfal_cli.schemas import EMBEDDING, IMAGE
from dfal_cli.scoring import Scorer
from dfal_cli.tables import labelled_path, labelled_rows, read_labels_files, write_labelled_embeddings


def labelled_images(root: Path, labels: Sequence[Path]) -> list[str]:
    """The images labelled in any of the files (neither blank nor __skip__), as far as they are under `root`."""
    images = labelled_rows(read_labels_files(labels))[IMAGE]
    return sorted(image for image in images if is_file(root / image))


def write_labelled(scores: Path, scorer: Scorer, images: Sequence[str], nothing_yet: Gathered, made_from: str) -> Path:
    """Embed the images and write that beside the scores, which are made from the same. Returns where.

    An image that cannot be read is left out, with a counted warning. nothing_yet: to gather the embeddings in.
    """
    rows, unreadable = scorer.rows_of(images, with_margins=False, also=nothing_yet.add)
    if unreadable:
        image, reason = unreadable[0]
        scorer.reporter.warn(
            f"{len(unreadable)} labelled images cannot be read and have no embedding (the first: {image!r}: {reason})"
        )
    return write_labelled_embeddings(scores, [row[IMAGE] for row in rows], nothing_yet.columns()[EMBEDDING], made_from)


def remove_labelled(scores: Path) -> None:
    """Remove what earlier scores left there."""
    labelled_path(scores).unlink(missing_ok=True)

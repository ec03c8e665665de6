"""The page of an evaluation: accuracy in words, confusion table, and pictures of the confused images."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli import __version__
from dfal_cli.errors import plural
from dfal_cli.images import ImageError
from dfal_cli.pages.preview_pictures import Images, Picture
from dfal_cli.pages.template import write_page
from dfal_cli.statistics.calibration import confidence_of

GENERATOR = "dfal evaluate"
"""The generator mark of these pages."""

MOST_PAIRS, MOST_PICTURES = 6, 8
"""Maximum number of pairs of classes with pictures, and of pictures of each."""

LARGEST_TABLE = 20
"""Maximum number of classes in the confusion table: a wider one fits no page."""

CONFIDENCES = (0.0, 0.5, 0.7, 0.9, 0.99, 1.0)
"""Limits of the rows of the table of confidences."""

Logits = npt.NDArray[np.float64]
Targets = npt.NDArray[np.intp]


class Cell(NamedTuple):
    """A cell of the confusion table."""

    images: int
    share: float
    """Share of the images of its row, which colours it."""
    is_right: bool


class Row(NamedTuple):
    """The row of a true class."""

    name: str
    cells: list[Cell]
    images: int
    recall: str
    precision: str
    mistake: str
    """The class that it is most often mistaken for, with the count; "" if there is none."""


class Shown(NamedTuple):
    """A confused image."""

    name: str
    """The file name."""
    image: str
    picture: Picture
    confidence: str


class Pair(NamedTuple):
    """Images of one class that are taken for another."""

    true: str
    predicted: str
    mistaken: int
    of: int
    """Number of images of the true class."""
    shown: list[Shown]


class Confident(NamedTuple):
    """A row of the table of confidences."""

    interval: str
    images: int
    confidence: str
    right: str


def write_evaluation(
    page: Path,
    report: Mapping[str, Any],
    precision: Mapping[str, float | None],
    images: Sequence[str],
    targets: Targets,
    logits: Logits,
    pictures: Images | None,
    doubts: Sequence[str],
    settings: Mapping[str, str],
) -> None:
    """Write the page; equal arguments give equal bytes.

    report: as of `Evaluation.report`. precision: by predicted class. images: n images with classes (n,) and logits
    (n, K), whose softmax are the confidences to show. pictures: None if the images are not at hand. doubts: warnings.
    """
    classes, predicted, confidence = list(report["class_accuracy"]), logits.argmax(1), confidence_of(logits)
    correct, total = int(np.count_nonzero(predicted == targets)), len(images)
    rows = [
        _row(place, name, report, precision, list(precision)) for place, name in enumerate(classes)
        if sum(report["confusion"][place])
    ]  # fmt: skip
    low, high = (100 * end for end in report["interval"])
    wide = len(classes) > LARGEST_TABLE
    write_page(
        page, "evaluation.html.jinja", GENERATOR, version=__version__, correct=correct, total=total,
        accuracy=percent(report["accuracy"]), low=f"{low:.1f}", high=f"{high:.1f}",
        largest=percent(report["largest_share"]), balanced=percent(report["balanced_accuracy"]),
        images_in_words=plural(total, "image"), doubts=doubts, classes=[] if wide else list(precision),
        rows=sorted(rows, key=lambda row: (row.recall != "100.0 %", float(row.recall.split()[0]))) if wide else rows,
        pairs=_pairs(classes, images, targets, predicted, confidence, pictures), has_pictures=pictures is not None,
        confidences=_confidences(confidence, predicted == targets), settings=settings,
    )  # fmt: skip


def percent(share: float | None) -> str:
    """Return a share in per cent."""
    return "–" if share is None else f"{100 * share:.1f} %"


def _row(
    place: int, name: str, report: Mapping[str, Any], precision: Mapping[str, float | None], outputs: Sequence[str]
) -> Row:  # fmt: skip
    counts = report["confusion"][place]
    images = sum(counts)
    cells = [Cell(count, round(count / images, 3), other == place) for other, count in enumerate(counts)]
    mistakes = [0 if cell.is_right else cell.images for cell in cells]
    most = max(mistakes)
    mistake = f"{outputs[mistakes.index(most)]} ({most})" if most else ""
    return Row(name, cells, images, percent(report["class_accuracy"][name]), percent(precision.get(name)), mistake)


def _pairs(
    classes: Sequence[str], images: Sequence[str], targets: Targets, predicted: Targets, confidence: Logits,
    pictures: Images | None,
) -> list[Pair]:  # fmt: skip
    """Return the most frequent mistakes with their images, the most confident first."""
    wrong = np.flatnonzero(predicted != targets)
    kinds, counts = np.unique(np.stack([targets[wrong], predicted[wrong]]), axis=1, return_counts=True)
    pairs = []
    for kind in np.argsort(-counts, kind="stable")[:MOST_PAIRS]:
        true, other = kinds[:, kind].tolist()
        members = wrong[(targets[wrong] == true) & (predicted[wrong] == other)]
        ordered = members[np.argsort(-confidence[members], kind="stable")][:MOST_PICTURES].tolist()
        shown = [_shown(images[index], confidence[index], pictures) for index in ordered]
        of = int(np.count_nonzero(targets == true))
        pairs.append(Pair(classes[true], classes[other], len(members), of, shown))
    return pairs


def _shown(image: str, confidence: float, pictures: Images | None) -> Shown:
    picture = Picture()
    if pictures is not None:
        try:
            picture = pictures.picture(image, beside_twin=False)
        except ImageError:  # it has been removed or damaged since it was classified
            picture = Picture()
    return Shown(PurePosixPath(image).name, image, picture, f"{100 * confidence:.0f} %")


def _confidences(confidence: Logits, correct: npt.NDArray[np.bool_]) -> list[Confident]:
    """Return how often the classifier is right by how sure it is."""
    rows = []
    for low, high in pairwise(CONFIDENCES):
        inside = (confidence >= low) & ((confidence < high) | (high == 1))
        count = int(np.count_nonzero(inside))
        if count:
            mean, right = percent(float(confidence[inside].mean())), percent(float(correct[inside].mean()))
            rows.append(Confident(f"{100 * low:.0f} to {100 * high:.0f} %", count, mean, right))
    return rows

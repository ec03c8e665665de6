"""evaluate: the accuracy of any checkpoint on any labelled set."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dfal_cli.errors import UsageError, listed, plural
from dfal_cli.images import ImageSource
from dfal_cli.pages.evaluation import GENERATOR, write_evaluation
from dfal_cli.pages.template import is_made_by
from dfal_cli.steps.evaluate.checks import check
from dfal_cli.steps.evaluate.figures import Figures, figures_of
from dfal_cli.steps.evaluate.measuring import TEST, Measured, measure_embeddings, measure_images
from dfal_cli.steps.evaluate.options import EvaluateOptions
from dfal_cli.steps.labelled_set import warn_of_trained
from dfal_cli.steps.result import Result
from dfal_cli.system.files import locked
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.class_names import likely_typos
from dfal_cli.training.report import accuracy_in_words, show_metrics


def evaluate(options: EvaluateOptions, reporter: Reporter, images: ImageSource | None = None) -> Result:
    """Classify labelled images and compare; with --out, write a page with pictures of the confused ones.

    `images` replace the folder `options.images`, if given.
    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    with _locked_page(options, reporter):
        if options.embeddings is not None:
            measured = measure_embeddings(options, options.embeddings, reporter)
        else:
            assert options.images is not None  # guaranteed by `check`
            measured = measure_images(options, options.images, reporter, images)
        figures = figures_of(measured)
        doubts = _doubts(measured, reporter)
        show_metrics({"test": figures.report}, measured.metadata["classes"], reporter)
        outputs = []
        if options.out is not None:
            with reporter.busy("writing the page"):
                outputs = [_write_page(options, options.out, measured, figures, doubts)]
    return Result(outputs, _summary(figures), _counts(measured, figures), _details(measured, figures))


@contextlib.contextmanager
def _locked_page(options: EvaluateOptions, reporter: Reporter) -> Iterator[None]:
    """Lock the page. Raises UsageError if it exists and is none of this command."""
    if options.out is None:
        yield
        return
    with locked(options.out, options.wait, reporter.note):
        if options.out.exists() and not options.force and not is_made_by(GENERATOR, options.out):
            raise UsageError(
                f"{options.out}: exists and was not written by `{GENERATOR}`; choose another --out, or use --force to "
                "overwrite it"
            )
        yield


def _doubts(measured: Measured, reporter: Reporter) -> list[str]:
    """Warn of what makes the accuracy another than that on new images of the known classes; return the warnings."""
    known, labelled = measured.metadata["classes"], measured.labelled
    unknown, total = list(labelled.classes[len(known) :]), len(labelled.images)
    doubts = []
    if unknown:
        count = int((labelled.targets >= len(known)).sum())
        doubts.append(
            f"{count} of {total} images in {TEST} {plural(count, 'has a class', 'have classes')} that the checkpoint "
            f"does not know ({listed(unknown)}) and {plural(count, 'counts', 'count')} as wrong"
        )
        doubts += [f"{TEST}: {typo}" for typo in likely_typos(unknown, labelled.classes)]
    infinite = int((~np.isfinite(measured.logits).all(1)).sum())
    if infinite:
        doubts.append(f"the logits of {infinite} of {total} images are not finite: their predictions mean nothing")
    for doubt in doubts:
        reporter.warn(doubt)
    consequence = "the accuracy overstates performance on new images; leave them out with --exclude"
    said = warn_of_trained(measured.trained_on, total, TEST, consequence, reporter)
    return [*doubts, *said]


def _write_page(
    options: EvaluateOptions, page: Path, measured: Measured, figures: Figures, doubts: list[str]
) -> Path:  # fmt: skip
    write_evaluation(
        page, figures.report, figures.precision, measured.labelled.images, measured.labelled.targets,
        measured.logits / figures.temperature,
        measured.pictures, doubts,
        {
            "checkpoint": options.checkpoint.name,
            "test": ", ".join(path.name for path in options.test),
            "images" if options.images else "embeddings": str(options.images or options.embeddings),
            "temperature of the confidences": f"{figures.temperature:.2f}",
            "expected calibration error": f"{100 * figures.error:.1f} %",
            "loss": f"{figures.report['loss']:.3f}" if figures.report["loss"] is not None else "",
        },
    )  # fmt: skip
    return page


def _summary(figures: Figures) -> str:
    words = [accuracy_in_words("test", {"test": figures.report})]
    words.append(f"balanced accuracy {100 * figures.report['balanced_accuracy']:.1f} %")
    if figures.report["loss"] is not None:
        words.append(f"loss {figures.report['loss']:.3f}")
    error = f"expected calibration error {100 * figures.error_before:.1f} %"
    if figures.temperature != 1:
        error += f", {100 * figures.error:.1f} % at the temperature {figures.temperature:.2f}"
        error += " (found on these images)" * figures.is_own
    return "; ".join([*words, error])


def _counts(measured: Measured, figures: Figures) -> dict[str, int]:
    known = len(measured.metadata["classes"])
    return {
        "images": len(measured.labelled.images),
        "correct": figures.correct,
        "of_unknown_classes": int((measured.labelled.targets >= known).sum()),
        "trained_on": len(measured.trained_on),
    }


def _details(measured: Measured, figures: Figures) -> dict[str, Any]:
    return {
        "test": figures.report,
        "precision": figures.precision,
        "calibration": {
            "temperature": figures.temperature,
            "found_on_these_images": figures.is_own,
            "error_before": figures.error_before,
            "error_after": figures.error,
        },
        "classes": measured.metadata["classes"],
        "trained_on": measured.trained_on,
    }

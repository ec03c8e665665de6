"""The temperature of the confidences: that of --calibrate, or the one that the training recorded."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dfal_cli.schemas import IMAGE
from dfal_cli.statistics.calibration import MIN_EXAMPLES, calibrate
from dfal_cli.steps.labelled_set import LabelledSet, recorded_calibration, warn_of_trained
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.head import LABELS_PER_CLASS, Numbers
from dfal_cli.training.learnt import CROSS_VALIDATION
from dfal_cli.training.temperature import MEASURED_ON

CALIBRATE = "--calibrate"
NONE = 1.0
"""The temperature that changes nothing."""


class Temperature(NamedTuple):
    """A temperature, and where it is from."""

    value: float
    measured: dict[str, Any] | None = None
    """The `Calibration`, and the set that it was measured on; None if the confidences are left as they are."""


def recorded_temperature(metadata: Mapping[str, Any], reporter: Reporter) -> Temperature:
    """Return the temperature in the metadata of a checkpoint, and say what it is."""
    found = recorded_calibration(metadata)
    if found:
        name = found[MEASURED_ON]
        is_cross_validation = name == "validation" and metadata["metrics"].get("validation_from") == CROSS_VALIDATION
        images = f"labelled images ({CROSS_VALIDATION})" if is_cross_validation else f"{name} images"
        reporter.note(_in_words(found, images))
        return Temperature(found["temperature"], found)
    reporter.note(
        f"confidences are not calibrated: the training had no {MIN_EXAMPLES} held-out images ({LABELS_PER_CLASS} "
        f"labels per class for cross-validation); give as many as {CALIBRATE} FILE"
    )
    return Temperature(NONE)


def measured_temperature(
    labelled: LabelledSet, logits: Numbers, trained_on: Sequence[str], reporter: Reporter
) -> Temperature:
    """Return the temperature of the images of --calibrate, with logits (n, K), and say what it is.

    trained_on: those of the images that the checkpoint was trained on, which are left out.
    """
    warn_of_trained(trained_on, len(labelled.images), CALIBRATE, "they are left out", reporter)
    usable = ~labelled.table[IMAGE].isin(trained_on).to_numpy() & (labelled.targets < logits.shape[1])
    found = calibrate(logits[usable], labelled.targets[usable])
    if found is None:
        reporter.warn(
            f"confidences are not calibrated: {CALIBRATE} has {int(usable.sum())} usable images of classes that the "
            f"checkpoint knows, and at least {MIN_EXAMPLES} are needed"
        )
        return Temperature(NONE)
    measured = {MEASURED_ON: CALIBRATE, **found._asdict()}
    reporter.note(_in_words(measured, f"images of {CALIBRATE}"))
    return Temperature(found.temperature, measured)


def _in_words(measured: Mapping[str, Any], images: str) -> str:
    words = (
        f"confidences are calibrated on {measured.get('examples')} {images}: temperature {measured['temperature']:.2f}"
    )
    match measured:
        case {"error_before": float(before), "error_after": float(after)}:
            words += f", expected calibration error {100 * before:.1f} % before and {100 * after:.1f} % after"
    return words

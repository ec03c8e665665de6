"""The temperature that a training records, and the images that it says it has used."""

import hashlib

import numpy as np

from dfal_cli.statistics.calibration import MIN_EXAMPLES, fitted_temperature
from dfal_cli.training.temperature import calibration_in
from dfal_cli.training.trained_images import TRAINED_IMAGES, packed_hashes, trained_among


def held_out(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(0, 3, (count, 3)), generator.integers(3, size=count)


def test_the_most_independent_set_that_is_large_enough_gives_the_temperature() -> None:
    test, validation = held_out(MIN_EXAMPLES, 1), held_out(MIN_EXAMPLES, 2)
    both = calibration_in({"validation": validation, "test": test})
    assert both is not None
    assert both["measured_on"] == "test"
    assert both["temperature"] == fitted_temperature(*test)
    few = calibration_in({"validation": validation, "test": held_out(MIN_EXAMPLES - 1)})
    assert few is not None
    assert few["measured_on"] == "validation"
    assert calibration_in({"validation": held_out(20)}) is None


def test_cross_validation_counts_from_ten_labels_a_class() -> None:
    generator = np.random.default_rng(0)
    logits, targets = generator.normal(size=(MIN_EXAMPLES, 11)), generator.integers(11, size=MIN_EXAMPLES)
    assert calibration_in({}, (logits, targets)) is None
    assert calibration_in({}, (logits[:, :10], targets % 10)) is not None


def test_a_checkpoint_knows_which_images_it_was_trained_on_by_their_contents() -> None:
    hashes = [hashlib.sha256(bytes([number])).hexdigest() for number in range(4)]
    metadata = {TRAINED_IMAGES: packed_hashes([hashes[1], hashes[2], hashes[1], ""])}
    assert trained_among([*hashes, ""], metadata) == [False, True, True, False, False]
    assert packed_hashes([hashes[2], hashes[1]]) == metadata[TRAINED_IMAGES]


def test_a_checkpoint_that_does_not_say_so_knows_nothing() -> None:
    assert trained_among([], {}) is None
    assert trained_among([], {TRAINED_IMAGES: "no base64!"}) is None

"""Options that belong together, by name."""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # The authors' margins (arXiv:1802.09841 and their code). They train the best of five, in batches of 10.
    "paper": {
        "candidates": 300, "max_iterations": 10, "overshoot": 0.0, "estimator": "deepfool", "norm": "l2",
        "classes": None, "clip": False,
    },
}  # fmt: skip

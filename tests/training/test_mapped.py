"""Examples in a file that several processes map."""

from pathlib import Path

import pytest
import torch

from dfal_cli.training.examples import Examples
from dfal_cli.training.loading import TrainingData
from dfal_cli.training.mapped import mapped, place


def examples(images: int, twins: int, classes: int = 3) -> Examples:
    generator = torch.Generator().manual_seed(images)
    return Examples(
        torch.randint(256, (images, 1, 5, 7), generator=generator, dtype=torch.uint8),
        torch.randint(classes, (images,), generator=generator),
        torch.rand(twins, 1, 5, 7, generator=generator),
        torch.randint(max(images, 1), (twins,), generator=generator),
    )


@pytest.mark.parametrize("is_same", [True, False])
def test_examples_are_read_back_as_they_were_placed(tmp_path: Path, is_same: bool) -> None:
    labelled = examples(9, 3)
    data = TrainingData(labelled, labelled if is_same else examples(12, 3), examples(5, 0), None, 4)
    file = tmp_path / "images"
    found = mapped(place(data, file))
    assert (found.test, found.twins) == (None, 4)
    for name in ("labelled", "training", "validation"):
        for one, other in zip(getattr(found, name), getattr(data, name), strict=True):
            assert one.dtype == other.dtype and torch.equal(one, other)
    pixels = sum(each.images.nbytes + each.twins.nbytes for each in {id(e): e for e in data[:3]}.values())
    assert pixels <= file.stat().st_size < pixels + 16

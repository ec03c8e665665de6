"""The parts of the benchmarks that others' numbers hang on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dfal_cli.models import build_network, seeded
from dfal_cli.tables import read_labels
from tests.benchmarks.comparison import folders
from tests.benchmarks.comparison.agreement import median_excess, overlap, spearman, verified_lengths
from tests.benchmarks.comparison.class_gradients import WAYS
from tests.benchmarks.comparison.reference import near_exact
from tests.benchmarks.comparison.subjects import Trained
from tests.benchmarks.comparison.walk import score_in_memory


class Sphere(nn.Module):
    """Logits (R^2, |x|^2): the boundary is the sphere of radius R."""

    def forward(self, images: Tensor) -> Tensor:
        squared = images.flatten(1).square().sum(1)
        return torch.stack([torch.ones_like(squared), squared], dim=1)


def starts_around(images: Tensor, distance: float) -> list[Tensor]:
    """Points in a few directions from each image, so far away."""
    generator = torch.Generator().manual_seed(1)
    ways = torch.randn(40, *images.shape, generator=generator)
    return [images + distance * way / way.flatten(1).norm(dim=1)[:, None, None, None] for way in ways]


def small_network(classes: int = 4) -> nn.Module:
    with seeded(3, torch.device("cpu")):
        return build_network("lenet5", classes, (1, 16, 16)).eval()


def test_the_reference_is_exact_on_a_linear_model() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(12, 1, 3, 3, generator=generator)
    model = nn.Sequential(nn.Flatten(), nn.Linear(9, 4))
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(4, 9, generator=generator))
        model[1].bias.copy_(torch.randn(4, generator=generator))
        logits, weight = model(images), model[1].weight
        predicted = logits.argmax(1)
        gaps = logits.gather(1, predicted[:, None]) - logits
        slopes = (weight[None] - weight[predicted][:, None]).norm(dim=2)
        exact = (gaps / slopes).scatter(1, predicted[:, None], torch.inf).amin(1)
    found = near_exact(model, images, starts_around(images, 20.0))
    assert found.numpy() == pytest.approx(exact.numpy(), rel=1e-5)


def test_the_reference_is_exact_on_a_sphere_from_inside_and_outside() -> None:
    images = 2 * torch.rand(20, 1, 1, 3, generator=torch.Generator().manual_seed(0))
    exact = (images.double().flatten(1).norm(dim=1) - 1).abs()
    found = near_exact(Sphere(), images, [*starts_around(images, 1.2), images * 1e-3, images * 50])
    assert found.numpy() == pytest.approx(exact.numpy(), rel=1e-5)


def test_an_image_that_no_start_takes_across_has_no_reference() -> None:
    images = torch.full((2, 1, 1, 3), 0.1)
    assert near_exact(Sphere(), images, [images]).isinf().all()


def test_a_crossing_counts_only_if_the_network_sees_it() -> None:
    images = torch.tensor([0.5, 0.5, 0.5, 0.5]).reshape(4, 1, 1, 1)
    points = torch.tensor([1.5, 0.9, -2.0, torch.nan]).reshape(4, 1, 1, 1)
    lengths = verified_lengths(Sphere(), images.split(2), points.split(2))
    assert lengths == pytest.approx([1.0, np.nan, 2.5, np.nan], nan_ok=True)


def test_agreement_counts_a_missing_margin_as_the_longest() -> None:
    reference = np.array([1.0, 2.0, 3.0, 4.0])
    margins = np.array([1.1, np.nan, 3.6, 4.0])
    assert median_excess(margins, reference) == pytest.approx(0.1)
    assert overlap(margins, reference, 0.5) == 0.5
    assert overlap(margins, reference, 0.01) == 1.0
    # Ranks 1 4 2 3 against 1 2 3 4: 1 - 6 * (0 + 4 + 1 + 1) / (4 * 15)
    assert spearman(margins, reference) == pytest.approx(0.4)


@pytest.mark.parametrize("name", WAYS)
def test_every_way_to_the_class_gradients_gives_the_same(name: str) -> None:
    model, points = small_network(), torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    predicted = model(points).argmax(1)
    expected = WAYS["loop with retain_graph"](model, points, predicted)
    assert expected.shape == (3, 5, 1, 16, 16)
    assert expected.abs().amax() > 0
    torch.testing.assert_close(WAYS[name](model, points, predicted), expected, rtol=1e-4, atol=1e-7)


def test_the_walk_in_memory_finds_what_scoring_everything_finds() -> None:
    pool = np.random.default_rng(0).integers(0, 256, (300, 1, 16, 16), dtype=np.uint8)
    trained = Trained(small_network(), pool, ("a", "b", "c", "d"), "noise", 0.0, "noise", 64)
    everything = score_in_memory(trained, 5, torch.device("cpu"), everything=True)
    walked = score_in_memory(trained, 5, torch.device("cpu"), everything=False)
    assert len(everything.rows) == everything.examined == 300
    assert walked.smallest(5) == everything.smallest(5)


def test_without_the_real_data_sketches_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "REAL_DATA", tmp_path / "absent")
    folder = folders.image_folder("mnist", tmp_path, 5)
    images = list(read_labels(folder.labels)["image"])
    assert len(images) == 5
    assert all((folder.root / image).is_file() for image in images)

"""Scores of embeddings by a linear head."""

import numpy as np
import pytest
import torch

from dfal_cli.margins.linear import LinearBoundaries, linear_margins
from dfal_cli.measures import probabilities
from dfal_cli.schemas import CROSSED, UNCROSSED
from dfal_cli.scoring import linear as module
from dfal_cli.scoring.linear import measures_of, score_vectors, tables_of, twins_of
from dfal_cli.system.reporting import Silent
from tests.margins.test_closed_form import random_head, random_vectors

CLASSES = ("a", "b", "c", "d", "e")


def names(count):
    return [f"{number:03d}.png" for number in range(count)]


@pytest.fixture(params=[3, 2048], ids="{} at a time".format)
def at_a_time(request, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", request.param)


def test_rows_hold_the_closed_form_and_the_measures_of_uncertainty(at_a_time):
    (weight, bias), vectors = random_head(), random_vectors(50)
    rows = score_vectors(names(50), vectors, LinearBoundaries(weight, bias), Silent())
    margins = linear_margins(vectors, weight, bias)
    expected = probabilities(torch.from_numpy(vectors.astype(np.float64) @ weight.T + bias))
    np.testing.assert_allclose(rows.margins["margin"], margins.margin, rtol=1e-6)
    np.testing.assert_array_equal(rows.margins["crossing_class"], margins.crossing_class)
    for name, values in expected._asdict().items():
        np.testing.assert_allclose(rows.measured[name], values, rtol=1e-6)
    assert (rows.of_outcome(CROSSED), rows.margins["iterations"].tolist()) == (50, [0] * 50)


def test_the_table_has_the_further_measures_of_each_row(at_a_time, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_TABLE", 20)
    boundaries, vectors = LinearBoundaries(*random_head()), random_vectors(50)
    rows = score_vectors(names(50), vectors, boundaries, Silent())
    tables = list(tables_of(rows, vectors, boundaries, CLASSES, ["egl", "probabilities"]))
    assert [len(table) for table in tables] == [20, 20, 10]
    found = np.concatenate([np.stack(table["probabilities"].to_numpy()) for table in tables])
    np.testing.assert_array_equal(found.argmax(1), rows.measured["predicted"])
    np.testing.assert_array_equal(
        np.concatenate([table["egl"].to_numpy() for table in tables]), measures_of(vectors, boundaries, ["egl"])["egl"]
    )


def test_images_without_a_boundary_or_without_finite_logits_are_uncrossed_with_the_reason():
    constant = score_vectors(names(3), random_vectors(3), LinearBoundaries(np.ones((2, 12)), np.zeros(2)), Silent())
    assert (constant.of_outcome(UNCROSSED), constant.uncrossed_because()) == (3, {"no gradient": 3})
    vectors = random_vectors(3)
    vectors[1] = np.nan
    rows = score_vectors(names(3), vectors, LinearBoundaries(*random_head()), Silent())
    assert rows.uncrossed_because() == {"not finite": 1}
    assert [bool(name) for name in rows.predicted(CLASSES)] == [True, False, True]
    table = next(tables_of(rows, vectors, LinearBoundaries(*random_head()), CLASSES, ["egl", "probabilities"]))
    assert table.slice(1, 1).to_pylist()[0] == {
        "image": "001.png", "predicted": None, "confidence": None, "probability_gap": None, "entropy": None,
        "outcome": "uncrossed", "margin": None, "crossing_class": None, "iterations": 0, "twin": None,
        "egl": None, "probabilities": None,
    }  # fmt: skip


def test_copies_of_an_image_tie_and_are_ranked_by_their_paths(at_a_time):
    vectors = random_vectors(40)
    vectors[[4, 17, 38]] = vectors[0]
    rows = score_vectors(names(40), vectors, LinearBoundaries(*random_head()), Silent())
    ranked = rows.by_margin().tolist()
    place = ranked.index(0)
    assert ranked[place : place + 4] == [0, 4, 17, 38]


def test_every_twin_is_across_the_boundary_of_its_own_row(at_a_time):
    (weight, bias), vectors = random_head(), random_vectors(50)
    boundaries = LinearBoundaries(weight, bias)
    rows = score_vectors(names(50), vectors, boundaries, Silent())
    nearest = rows.by_margin()[:10]
    twins = dict(twins_of(nearest, vectors, boundaries, 0.02))
    assert list(twins) == nearest.tolist()
    for row, twin in twins.items():
        assert linear_margins(twin[None], weight, bias).predicted == rows.margins["crossing_class"][row]
        assert np.linalg.norm(twin - vectors[row]) == pytest.approx(1.02 * rows.margins["margin"][row], abs=1e-4)

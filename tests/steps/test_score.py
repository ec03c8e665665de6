"""score: one row per pool image, with numbers that can be computed by other means."""

import json
import math
import os

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.images.pool import draw_candidates
from dfal_cli.margins import deepfool
from dfal_cli.system.fingerprints import sha256_of
from tests.conftest import dfal, write

COLUMNS = [
    ("image", "string"), ("predicted", "string"), ("confidence", "float"), ("probability_gap", "float"),
    ("entropy", "float"), ("outcome", "string"), ("margin", "float"), ("crossing_class", "string"),
    ("iterations", "int32"), ("twin", "string"),
]  # fmt: skip


def score(root, out, *further):
    return dfal(
        "score", "--images", root / "images", "--checkpoint", root / "model.safetensors", "--labels",
        root / "labels.csv", "--out", out, "--device", "cpu", "--quiet", *further,
    )  # fmt: skip


def scores(root, out, *further):
    ended = score(root, out, *further)
    assert ended.code == 0, ended.stderr
    return pq.read_table(out).to_pandas()


def metadata(out):
    return json.loads(pq.read_schema(out).metadata[b"dfal"])


def pool_of(root):
    labelled = {row.split(",")[0] for row in (root / "labels.csv").read_text().splitlines()[1:]}
    return [name for name in sorted(path.name for path in (root / "images").iterdir()) if name not in labelled]


@pytest.fixture(scope="module")
def scored(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("scored") / "scores.parquet"
    return scores(trained, out), out


@pytest.fixture(scope="module")
def network(trained):
    return load_checkpoint(trained / "model.safetensors")


def floats(root, names):
    return torch.stack([torch.tensor(np.asarray(Image.open(root / "images" / name)) / 255) for name in names])[:, None]


def test_every_pool_image_has_exactly_one_row_in_path_order(trained, scored):
    assert list(scored[0]["image"]) == pool_of(trained)


def test_the_columns_and_their_types_are_the_documented_ones(scored):
    schema = pq.read_schema(scored[1])
    assert [(field.name, str(field.type)) for field in schema] == COLUMNS


def test_the_metadata_record_the_inputs_of_the_scores(trained, scored):
    told = metadata(scored[1])
    assert told["image_root"] == os.path.relpath(trained / "images", scored[1].parent)
    assert told["input_shape"] == [1, 16, 16]
    assert (told["estimator"], told["norm"], told["seed"]) == ("deepfool", "l2", 0)
    assert len(told["checkpoint_sha256"]) == 64
    assert told["settings"]["overshoot"] == 0.02
    assert told["settings"]["max_iterations"] == 50


def test_parquet_and_csv_hold_the_same(trained, scored, tmp_path):
    out = tmp_path / "scores.csv"
    assert score(trained, out).code == 0
    text = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert list(text.columns) == [name for name, _ in COLUMNS]
    for name, kind in COLUMNS:
        expected = scored[0][name]
        if kind == "string":
            assert list(text[name]) == list(expected.fillna(""))
        elif kind == "int32":
            assert list(text[name].astype(int)) == list(expected)
        else:
            numbers = pd.to_numeric(text[name]).to_numpy("float32")
            np.testing.assert_array_equal(numbers, expected.to_numpy("float32"))
    of_csv, of_parquet = json.loads((tmp_path / "scores.csv.meta.json").read_text()), metadata(scored[1])
    assert of_csv.pop("rows_sha256") == sha256_of(out)
    assert of_csv == of_parquet
    assert b"\r" not in out.read_bytes()


def test_predictions_and_probability_measures_are_those_of_an_independent_softmax(trained, scored, network):
    table = scored[0]
    logits = network.model(floats(trained, table["image"]).float()).detach().double().numpy()
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    ordered = np.sort(p, axis=1)[:, ::-1]
    assert list(table["predicted"]) == [network.classes[k] for k in logits.argmax(1)]
    np.testing.assert_allclose(table["confidence"], ordered[:, 0], rtol=1e-4)
    np.testing.assert_allclose(table["probability_gap"], ordered[:, 0] - ordered[:, 1], rtol=1e-3, atol=1e-5)
    entropy = [-math.fsum(q * math.log(q) for q in row if q > 0) for row in p]
    np.testing.assert_allclose(table["entropy"], entropy, rtol=1e-3, atol=1e-6)


def test_margins_are_those_of_deepfool_and_the_crossing_class_is_another(trained, scored, network):
    table = scored[0]
    crossing = deepfool(network.model, floats(trained, table["image"]).float())
    np.testing.assert_allclose(table["margin"], crossing.margin, rtol=1e-3)
    assert (table["outcome"] == "crossed").sum() == crossing.crossed.sum() > 10
    crossed = table[table["outcome"] == "crossed"]
    assert (crossed["crossing_class"] != crossed["predicted"]).all()
    assert set(crossed["crossing_class"]) <= set(network.classes)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (1, 3), (7, 1), (64, 3), (7, 0)])
def test_batch_size_and_workers_change_no_query(trained, scored, tmp_path, batch_size, workers):
    out = tmp_path / "scores.parquet"
    table = scores(trained, out, "--batch-size", batch_size, "--workers", workers)
    np.testing.assert_allclose(table["margin"], scored[0]["margin"], rtol=1e-3)
    lists = []
    for file in (out, scored[1]):
        queries = tmp_path / f"{len(lists)}.csv"
        assert dfal("select", "--scores", file, "--count", 10, "--out", queries, "--quiet").code == 0
        lists.append(pd.read_csv(queries, dtype=str)[["rank", "image"]].to_numpy().tolist())
    assert lists[0] == lists[1]


def test_candidates_are_a_random_part_of_the_pool_the_same_for_the_same_seed(trained, tmp_path):
    draws = [
        list(scores(trained, tmp_path / f"{number}.parquet", "--candidates", 6, "--seed", seed)["image"])
        for number, seed in enumerate((1, 1, 2))
    ]
    assert draws[0] == draws[1] != draws[2]
    for draw in draws:
        assert len(set(draw)) == 6
        assert set(draw) <= set(pool_of(trained))
        assert draw == sorted(draw)


def test_candidates_of_pools_of_one_size_are_the_same_where_they_can_be():
    """Strategies that are compared have pools of one size in every round, but not the same ones."""
    images = [f"{number:03d}.png" for number in range(200)]
    one, two = draw_candidates(images[:150], 40, seed=5), draw_candidates(images[20:170], 40, seed=5)
    assert len(one) == len(two) == len(set(one)) == 40
    assert len(set(one) & set(two)) > 25
    assert one == sorted(one)
    assert draw_candidates(images[:150], 40, seed=6) != one


def test_what_is_not_asked_about_returns_to_the_pool_and_others_are_candidates_next_time():
    """The paper draws anew each round; with one seed for all rounds the same rejects would be looked at for ever."""
    pool = [f"{number:04d}.png" for number in range(2000)]
    seen: set[str] = set()
    for _ in range(20):
        candidates = draw_candidates(pool, 200, seed=0)
        seen |= set(candidates)
        pool = [image for image in pool if image not in candidates[:10]]
    assert len(seen) > 1500  # 2,000 (1 - .9^20) = 1,757 are to be expected


def test_more_candidates_than_the_pool_holds_are_the_pool(trained, tmp_path):
    assert list(scores(trained, tmp_path / "s.parquet", "--candidates", 1000)["image"]) == pool_of(trained)


def test_the_papers_preset_sets_the_papers_options(trained, tmp_path):
    out = tmp_path / "scores.parquet"
    scores(trained, out, "--preset", "paper")
    told = metadata(out)["settings"]
    paper = {
        "candidates": 300, "max_iterations": 10, "overshoot": 0.0, "estimator": "deepfool", "norm": "l2",
        "classes": None, "clip": False,
    }  # fmt: skip
    assert {name: told[name] for name in paper} == paper


def test_options_take_precedence_over_the_preset_even_with_their_default_value(trained, tmp_path):
    out = tmp_path / "scores.parquet"
    scores(trained, out, "--preset", "paper", "--overshoot", 0.02, "--candidates", 5, "--norm", "linf")
    told = metadata(out)["settings"]
    assert (told["overshoot"], told["candidates"], told["norm"]) == (0.02, 5, "linf")
    assert told["max_iterations"] == 10


@pytest.mark.parametrize(
    "options", [("--norm", "linf"), ("--clip",), ("--overshoot", "0.5"), ("--max-iterations", "1")], ids=str
)
def test_each_setting_of_the_estimator_reaches_it(trained, scored, network, tmp_path, options):
    table = scores(trained, tmp_path / "scores.parquet", *options)
    settings = {"norm": "linf"} if options[0] == "--norm" else {"clip": True} if options[0] == "--clip" else {}
    if options[0] in ("--overshoot", "--max-iterations"):
        settings = {options[0].lstrip("-").replace("-", "_"): float(options[1])}
    settings = {name: int(value) if name == "max_iterations" else value for name, value in settings.items()}
    crossing = deepfool(network.model, floats(trained, table["image"]).float(), **settings)
    np.testing.assert_allclose(table["margin"], crossing.margin, rtol=1e-3)
    if options[0] != "--clip":  # which may happen to make no difference
        assert not np.allclose(table["margin"], scored[0]["margin"], rtol=1e-3, equal_nan=True)


def test_excluded_labelled_and_skipped_images_are_not_scored_but_blank_ones_are(trained, tmp_path):
    pool = pool_of(trained)
    more = write(tmp_path / "more.csv", "image,label", f"{pool[0]},dark", f"{pool[1]},__skip__", f"{pool[2]},")
    answering = write(tmp_path / "queries.csv", "rank,image,label,margin,twin", f"1,{pool[3]},,,")
    out = tmp_path / "scores.parquet"
    table = scores(trained, out, "--labels", more, "--exclude", answering)
    assert list(table["image"]) == [pool[2], *pool[4:]]


def test_json_counts_the_pool_and_its_outcomes(trained, tmp_path):
    told = score(trained, tmp_path / "scores.parquet", "--json", "--candidates", 9, "--twins", 2).json
    assert told["command"] == "score"
    assert told["outputs"] == [str(tmp_path / "scores.parquet")]
    counts = told["counts"]
    assert (counts["pool"], counts["scored"], counts["unreadable"], counts["twins"]) == (16, 9, 0, 2)
    assert counts["crossed"] + counts["uncrossed"] == 9

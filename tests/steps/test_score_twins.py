"""score --twins: adversarial images worth training on."""

import hashlib
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.images import decode_image
from tests.conftest import dfal, write


@pytest.fixture
def project(trained, tmp_path):
    """A copy of the trained folder that the test may change."""
    return shutil.copytree(trained, tmp_path / "project")


def score(root, *further, out="scores.parquet"):
    return dfal(
        "score", "--images", root / "images", "--checkpoint", root / "model.safetensors", "--labels",
        root / "labels.csv", "--out", root / out, "--device", "cpu", "--quiet", *further,
    )  # fmt: skip


def scores(root, *further, out="scores.parquet"):
    ended = score(root, *further, out=out)
    assert ended.code == 0, ended.stderr
    return pq.read_table(root / out).to_pandas()


@pytest.mark.parametrize(
    "options",
    [(), ("--preset", "paper"), ("--norm", "linf"), ("--clip",), ("--batch-size", 1), ("--max-iterations", 2)],
    ids=str,
)
def test_twins_of_the_smallest_margins_are_kept_and_verified(project, options):
    table = scores(project, "--twins", 5, *options)
    network = load_checkpoint(project / "model.safetensors")
    with_twin = table[table["twin"].notna()]
    nearest = table[table["outcome"] == "crossed"].sort_values(["margin", "image"]).head(5)
    assert sorted(with_twin["image"]) == sorted(nearest["image"])
    assert len(with_twin) == 5
    for row in with_twin.itertuples():
        assert row.twin == f"scores.parquet.twins/{row.image}.npy"
        twin = np.load(project / row.twin, allow_pickle=False)
        assert (twin.dtype, twin.shape) == (np.float32, (1, 16, 16))
        image = torch.from_numpy(decode_image(project / "images" / row.image, (1, 16, 16)).copy()).float() / 255
        now, before = (network.model(pixels[None]).argmax().item() for pixels in (torch.from_numpy(twin), image))
        assert network.classes[before] == row.predicted
        assert network.classes[now] != row.predicted
        order = np.inf if "linf" in options else 2
        distance = np.linalg.norm((twin - image.numpy()).ravel().astype(np.float64), order)
        assert distance == pytest.approx(row.margin, rel=1e-2)
        if "--clip" in options:
            assert 0 <= twin.min() <= twin.max() <= 1
    assert len(list((project / "scores.parquet.twins").rglob("*.npy"))) == 5


def test_no_twins_are_kept_unless_asked_for(project):
    assert scores(project)["twin"].isna().all()
    assert not (project / "scores.parquet.twins").exists()


def test_more_twins_than_images_are_all_the_images_that_crossed(project):
    table = scores(project, "--twins", 1000)
    assert (table["twin"].notna() == (table["outcome"] == "crossed")).all()


def test_twins_may_lie_in_another_folder_and_are_named_relative_to_the_scores(project):
    (project / "sub").mkdir()
    table = scores(project, "--twins", 2, "--twins-dir", project / "kept" / "twins", out="sub/scores.parquet")
    names = list(table["twin"].dropna())
    assert len(names) == 2
    for name in names:
        assert name.startswith("../kept/twins/")
        assert (project / "sub" / name).is_file()


def test_twins_of_images_in_folders_lie_in_folders_of_the_same_names(project):
    (project / "images" / "a" / "b").mkdir(parents=True)
    shutil.move(project / "images" / "039.png", project / "images" / "a" / "b" / "039.png")
    table = scores(project, "--twins", 100).set_index("image")
    assert table.loc["a/b/039.png", "twin"] == "scores.parquet.twins/a/b/039.png.npy"
    assert (project / "scores.parquet.twins" / "a" / "b" / "039.png.npy").is_file()


def test_a_twin_whose_name_is_too_long_for_the_file_system_gets_its_sha256(project):
    name = "x" * 246 + ".png"
    shutil.move(project / "images" / "039.png", project / "images" / name)
    twin = scores(project, "--twins", 100).set_index("image").loc[name, "twin"]
    assert twin == f"scores.parquet.twins/{hashlib.sha256(name.encode()).hexdigest()}.npy"
    assert (project / twin).is_file()


def test_a_twin_that_a_labels_file_refers_to_is_never_overwritten(project):
    nearest = scores(project, "--twins", 1)["twin"].dropna().iloc[0]
    precious = (project / nearest).read_bytes()
    rows = [line.rstrip(",") for line in (project / "labels.csv").read_text().splitlines()]
    write(project / "labels.csv", "image,label,twin", f"{rows[1]},{nearest}", *(f"{row}," for row in rows[2:]))
    ended = score(project, "--twins", 1, "--overshoot", 0.1, "--force")
    assert ended.code == 2
    assert "--twins-dir" in ended.stderr
    assert (project / nearest).read_bytes() == precious
    assert score(project, "--twins", 1, "--overshoot", 0.1, "--force", "--twins-dir", project / "other").code == 0
    assert (project / nearest).read_bytes() == precious


def test_twins_are_carried_on_to_the_query_list_and_the_next_training(project):
    scores(project, "--twins", 3)
    queries = project / "lists" / "queries.csv"
    selected = dfal("select", "--scores", project / "scores.parquet", "--count", 3, "--out", queries, "--quiet")
    assert selected.code == 0, selected.stderr
    truth = dict(row.split(",") for row in (project / "oracle.csv").read_text().splitlines())
    header, *rows = queries.read_text().splitlines()
    answered = [[*row.split(",")[:2], truth[row.split(",")[1]], *row.split(",")[3:]] for row in rows]
    write(queries, header, *(",".join(cells) for cells in answered))
    merged = dfal("merge", "--queries", queries, "--labels", project / "labels.csv", "--quiet")
    assert merged.code == 0, merged.stderr
    ended = dfal(
        "train", "--images", project / "images", "--labels", project / "labels.csv", "--out", project / "2.safetensors",
        "--epochs", 1, "--validation-fraction", 0, "--device", "cpu", "--quiet", "--json",
    )  # fmt: skip
    assert ended.json["counts"] == {"labelled": 27, "pseudo": 0, "training": 27, "twins": 3}
    assert ended.json["warnings"] == []

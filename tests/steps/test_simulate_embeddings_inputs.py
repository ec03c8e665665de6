"""simulate: the embeddings it is given or computes from images, and those that it refuses."""

from pathlib import Path

import pytest

from dfal_cli.tables.embeddings import write_embeddings
from tests.conftest import write
from tests.page import Page
from tests.steps.embedding import draw_photos
from tests.steps.test_simulate_embeddings import IMAGES, POOL, command, project, results_of, simulate, vectors

__all__ = ["project"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"strategies": "random,bald"}, 2, "--strategies bald: a head has no dropout layers"),
        ({"epochs": 5}, 2, "--epochs: no effect with --embeddings; remove it"),
        ({"arch": "lenet5"}, 2, "--arch: no effect with --embeddings"),
        ({"images": "."}, 2, "use either --images (to train networks) or --embeddings"),
        ({"embeddings": None}, 2, "use either --images"),
        ({"embeddings": "none.parquet"}, 2, "none.parquet: no such file (--embeddings)"),
        ({"start": "badge"}, 2, "--start badge: use one of random, typical"),
        ({"norm": "l1"}, 2, "--norm l1: use one of l2, linf"),
        (
            {"embeddings": "pool.parquet"},
            3,
            "test.csv, line 2: 060.png and 29 more: not in pool.parquet (--embeddings)",
        ),
        ({"initial": 60, "budget": 70}, 2, "--initial 60: the oracle (oracle.csv) has only 60 images"),
    ],
)
def test_what_cannot_be_simulated_is_refused_before_anything_is_written(
    project: Path, options: dict[str, object], code: int, message: str
) -> None:
    write_embeddings(project / "pool.parquet", [(IMAGES[:POOL], vectors()[:POOL])], {})
    ended = simulate("out", **options)
    assert (ended.code, message in ended.stderr) == (code, True), ended.stderr
    assert not Path("out").exists()


def test_images_of_the_oracle_without_an_embedding_and_copies_in_the_test_set_are_warnings(project: Path) -> None:
    copied = vectors()
    copied[POOL + 3] = copied[5]
    write_embeddings(project / "e.parquet", [(IMAGES[2:], copied[2:])], {})
    warnings = simulate("out", "--json", strategies="random").json["warnings"]
    assert any("2 of 60 images in oracle.csv are not in e.parquet" in warning for warning in warnings)
    assert any("1 of 30 test images is a copy of images in the oracle" in warning for warning in warnings)


def test_results_of_other_embeddings_are_not_mixed(project: Path) -> None:
    results_of("out", strategies="random")
    write_embeddings(project / "e.parquet", [(IMAGES, 2 * vectors()[::-1])], {})
    ended = simulate("out", strategies="random")
    assert (ended.code, "out: was made from other embeddings (--embeddings)" in ended.stderr) == (2, True)
    assert simulate("out", "--force", strategies="random").code == 0


def draw_labelled_photos(folder: Path) -> None:
    draw_photos(folder)
    rows = [f"{path.relative_to('photos').as_posix()},{path.parent.name}" for path in Path("photos").rglob("*.png")]
    write(folder / "oracle.csv", "image,label", *rows[::2])
    write(folder / "test.csv", "image,label", *rows[1::2])


def test_images_are_embedded_once_by_a_pretrained_network_that_stays_as_it_is(in_tmp: Path) -> None:
    draw_labelled_photos(in_tmp)
    command("embed", "--images", "photos", "--backbone", "mine:quarters", "--out", "e.parquet")
    sizes: dict[str, object] = {"initial": 2, "count": 1, "budget": 4, "strategies": "typical,dfal"}
    given = results_of("given", **sizes)
    frozen: dict[str, object] = {"embeddings": None, "images": "photos", "arch": "mine:quarters"}
    assert results_of("frozen", "--freeze", **(frozen | sizes)).equals(given)
    settings = Page(Path("frozen/report.html")).settings()
    assert (settings["arch"], settings["input"]) == ("mine:quarters", "embeddings of 12 numbers")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--weights", "test.csv"), "--weights: no effect without --freeze; remove it"),
        (("--start", "typical"), "--start typical: requires --embeddings or --freeze"),
        (("--freeze", "--epochs", 3), "--epochs: no effect with --freeze"),
        (("--freeze", "--arch", "no-such-network"), "--arch no-such-network"),
    ],
)
def test_options_for_pretrained_networks_are_checked(in_tmp: Path, options: tuple[object, ...], message: str) -> None:
    draw_labelled_photos(in_tmp)
    ended = simulate("out", *options, embeddings=None, images="photos", initial=2, count=1, budget=4)
    assert (ended.code, message in ended.stderr) == (2, True), ended.stderr

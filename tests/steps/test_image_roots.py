"""Every command gives the same results for images in a folder, in a tar, in a folder of tars and in an object store."""

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dfal_cli.system.image_roots import Url
from dfal_cli.tables.embeddings import read_embeddings
from tests.conftest import MEANS, Ended, dfal, draw_divided_folder, write
from tests.labelling.serving import served
from tests.object_store import ObjectStore
from tests.packed import pack
from tests.page import Page

CPU = ("--device", "cpu")
NETWORK = ("--epochs", 2, *CPU)


def lay_out(images: Path, folder: Path) -> Path:
    """Copy images into folders that are called like the tars that hold the same images elsewhere."""
    names = sorted(path.name for path in images.iterdir())
    for number, name in enumerate(names):
        place = folder / ("one.tar", "deep/two.tar", "")[number % 3] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(images / name, place)
    return folder


def as_folder(laid_out: Path, root: Path, store: ObjectStore) -> Path:
    shutil.copytree(laid_out, root)
    return root


def as_tar(laid_out: Path, root: Path, store: ObjectStore) -> Path:
    return pack(laid_out, root.with_suffix(".tar"))


def as_folder_of_tars(laid_out: Path, root: Path, store: ObjectStore) -> Path:
    for tar in ("one.tar", "deep/two.tar"):
        pack(laid_out / tar, root / tar)
    for path in laid_out.glob("*.png"):
        shutil.copy(path, root)
    return root


def in_store(laid_out: Path, root: Path, store: ObjectStore) -> Url:
    return store.filled(laid_out)


ROOTS = {"folder": as_folder, "tar": as_tar, "tars": as_folder_of_tars, "store": in_store}


def run(*arguments: object) -> Ended:
    ended = dfal(*arguments)
    assert ended.code == 0, ended.stderr
    return ended


def pictures(page: Path) -> list[str | None]:
    return [attributes.get("src") for tag, attributes in Page(page).tags if tag == "img"]


class Pool:
    """The same images under one kind of image root, and what the commands make of them, in a folder of its own."""

    def __init__(self, root: object, folder: Path) -> None:
        self.images, self.folder = ("--images", root), folder

    def path(self, name: str) -> Path:
        return self.folder / name

    def text(self, name: str) -> str:
        return self.path(name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """laid-out/ with 24 images; pool.csv with labels for 16 of them, test.csv for the others."""
    root = draw_divided_folder(tmp_path_factory.mktemp("roots"))
    lay_out(root / "images", root / "laid-out")
    name_of = {path.name: path.relative_to(root / "laid-out").as_posix() for path in (root / "laid-out").rglob("*.png")}
    for table in ("pool.csv", "test.csv"):
        header, *rows = (root / table).read_text().splitlines()
        write(root / table, header, *(f"{name_of[row[:7]]}{row[7:]}" for row in rows))
    rows = (root / "pool.csv").read_text().splitlines()
    write(root / "labels.csv", *rows[:9])
    write(root / "averages.py", MEANS)
    return root


@pytest.fixture(scope="module", params=[kind for kind in ROOTS if kind != "folder"])
def pools(request: pytest.FixtureRequest, made: Callable[[str], Pool]) -> tuple[Pool, Pool]:
    """A folder, which is the reference, and the same images under another kind of root."""
    return made("folder"), made(request.param)


@pytest.fixture(scope="module")
def made(project: Path, object_store: ObjectStore) -> Callable[[str], Pool]:
    """Run the commands on a kind of root, once."""

    @functools.cache
    def of(kind: str) -> Pool:
        folder = project / f"made-from-{kind}"
        folder.mkdir()
        pool = Pool(ROOTS[kind](project / "laid-out", project / kind, object_store), folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(project)
            make_all(pool)
        return pool

    return of


def make_all(pool: Pool) -> None:
    at, labels = pool.path, ("--labels", "labels.csv")
    model = ("--checkpoint", at("m.safetensors"))
    run("select", *pool.images, *labels, "--strategy", "random", "--count", 5, "--out", at("first.csv"))
    run("train", *pool.images, *labels, "--test", "test.csv", "--out", at("m.safetensors"), *NETWORK)
    run("score", *pool.images, *labels, *model, "--out", at("s.csv"), "--twins", 2, *CPU)
    run("select", "--scores", at("s.csv"), "--count", 5, "--out", at("q.csv"), "--preview", at("preview.html"))
    run("embed", *pool.images, "--out", at("e.parquet"), "--backbone", "averages:backbone", "--image-size", 8, *CPU)
    run("predict", *pool.images, *model, "--out", at("p.csv"), "--to-folder", at("sorted"), *CPU)
    run("evaluate", *pool.images, *model, "--test", "test.csv", "--out", at("evaluation.html"), *CPU)
    run("explain", pool.text("q.csv").splitlines()[1].split(",")[1], "--queries", at("q.csv"), "--page", at("x.html"))


def test_lists_scores_predictions_and_networks_are_the_same_bytes(pools: tuple[Pool, Pool]) -> None:
    folder, other = pools
    for file in ("first.csv", "m.safetensors", "s.csv", "q.csv", "p.csv"):
        assert other.path(file).read_bytes() == folder.path(file).read_bytes(), file


def test_embeddings_have_the_same_rows(pools: tuple[Pool, Pool]) -> None:
    expected, found = (read_embeddings(pool.path("e.parquet")) for pool in pools)
    assert found.images == expected.images
    np.testing.assert_array_equal(found.vectors, expected.vectors)


def test_pages_show_the_same_pictures(pools: tuple[Pool, Pool]) -> None:
    for page, count in (("preview.html", 7), ("evaluation.html", 0), ("x.html", 1)):
        expected, found = (pictures(pool.path(page)) for pool in pools)
        assert found == expected, page
        assert len([source for source in found if source]) >= count, page


def test_the_folders_of_predicted_classes_hold_the_same_images(pools: tuple[Pool, Pool]) -> None:
    def held(pool: Pool) -> dict[str, bytes]:
        folder = pool.path("sorted")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}

    expected, found = map(held, pools)
    assert len(found) == 24
    assert found == expected


def test_a_second_run_is_up_to_date(pools: tuple[Pool, Pool], project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, pool = pools
    monkeypatch.chdir(project)
    model = ("--checkpoint", pool.path("m.safetensors"))
    score = ("score", *pool.images, "--labels", "labels.csv", *model, "--out", pool.path("s.csv"), "--twins", 2, *CPU)
    assert run(*score, "--json").json["status"] == "up to date"
    assert run("embed", *pool.images, "--out", pool.path("e.parquet"), "--backbone", "averages:backbone",
               "--image-size", 8, *CPU, "--json").json["status"] == "up to date"  # fmt: skip
    assert run("predict", *pool.images, *model, "--out", pool.path("p.csv"), "--to-folder", pool.path("sorted"), *CPU,
               "--json").json["status"] == "up to date"  # fmt: skip


def test_the_cache_serves_a_second_command(pools: tuple[Pool, Pool], project: Path, tmp_path: Path) -> None:
    folder, pool = pools
    for number, told in enumerate(("0 of 24", "24 of 24")):
        output = ("--out", tmp_path / f"{number}.csv", "--cache", tmp_path / "cache")
        ended = run("predict", *pool.images, "--checkpoint", pool.path("m.safetensors"), *output, *CPU)
        assert f"{told} image reads came from the cache" in ended.stderr
        assert (tmp_path / f"{number}.csv").read_bytes() == folder.path("p.csv").read_bytes()


def test_a_simulation_has_the_same_results(made: Callable[[str], Pool], project: Path, tmp_path: Path) -> None:
    results = {}
    for kind in ROOTS:
        tables = ("--labels", project / "pool.csv", "--test", project / "test.csv")
        plan = ("--initial", 4, "--count", 4, "--budget", 8, "--strategies", "random", "--jobs", 1, "--trials", 1)
        run("simulate", *made(kind).images, *tables, "--out", tmp_path / kind, *plan, *NETWORK)
        results[kind] = (tmp_path / kind / "results.csv").read_text()
    assert set(results.values()) == {results["folder"]}


def test_the_labelling_page_shows_the_images(pools: tuple[Pool, Pool], tmp_path: Path) -> None:
    def shown(pool: Pool, path: str) -> list[bytes]:
        queries = Path(shutil.copy(pool.path("q.csv"), tmp_path))
        names = [line.split(",")[1] for line in queries.read_text().splitlines()[1:]]
        with served(queries, pool.images[1], class_names=["dark", "light"]) as page:
            replies = [page.get(path, image=name, side=256) for name in names]
        assert {reply.status for reply in replies} == {200}
        return [reply.body for reply in replies]

    folder, pool = pools
    for path in ("photo", "original"):
        assert shown(pool, path) == shown(folder, path)


def test_answers_from_an_exported_folder_are_merged(pools: tuple[Pool, Pool], project: Path, tmp_path: Path) -> None:
    _, pool = pools
    out = tmp_path / "to-label"
    run("export", "--queries", pool.path("q.csv"), *pool.images, "--to", "folder", "--out", out)
    moved = sorted((out / "__unanswered__").iterdir())[0]
    (out / "dark").mkdir(exist_ok=True)
    moved.rename(out / "dark" / moved.name)
    labels = Path(shutil.copy(project / "labels.csv", tmp_path))
    assert run("merge", "--queries", out, "--labels", labels, *pool.images, "--json").json["counts"]["merged"] == 1
    write(tmp_path / "wrong.csv", "image,label", "one.tar/none.png,dark")
    ended = dfal("merge", "--queries", tmp_path / "wrong.csv", "--labels", labels, *pool.images)
    assert ended.code == 3
    assert "image 'one.tar/none.png' is not under" in ended.stderr


@pytest.mark.parametrize("to", ["cvat", "huggingface", "folder"])
def test_exports_hold_the_images(pools: tuple[Pool, Pool], tmp_path: Path, to: str) -> None:
    def exported(pool: Pool, out: Path) -> dict[str, bytes]:
        classes = ("--class-names", "dark,light")
        command = ("export", "--queries", pool.path("q.csv"), *pool.images, "--to", to, "--out", out, *classes)
        run(*command)
        assert run(*command, "--json").json["status"] == "up to date"
        files = [path for path in out.rglob("*") if path.is_file() and path.name != ".dfal.json"]
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}

    expected, found = (exported(pool, tmp_path / str(number)) for number, pool in enumerate(pools))
    assert sum(name.endswith(".png") for name in found) == 5
    assert found == expected


@pytest.mark.parametrize("to", ["labelstudio", "fiftyone"])
def test_tools_that_read_images_from_disk_are_refused_for_packed_images(
    made: Callable[[str], Pool], tmp_path: Path, to: str
) -> None:
    pool = made("tar")
    ended = dfal("export", "--queries", pool.path("q.csv"), *pool.images, "--to", to, "--out", tmp_path / "out")
    assert ended.code == 2
    assert "use --to cvat or huggingface or folder" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_status_counts_the_images_that_are_left(pools: tuple[Pool, Pool], project: Path) -> None:
    folder, pool = (run("status", *pool.images, "--labels", project / "labels.csv", "--json").json for pool in pools)
    assert pool["counts"] == folder["counts"]


def test_review_reads_a_tar(made: Callable[[str], Pool], project: Path, tmp_path: Path) -> None:
    def reviewed(pool: Pool) -> bytes:
        out = tmp_path / "review.csv"
        run("review", *pool.images, "--labels", project / "pool.csv", "--out", out, "--count", 3, "--force", *NETWORK)
        return out.read_bytes()

    assert reviewed(made("tar")) == reviewed(made("folder"))


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("pool.tar.gz", "decompress it with gunzip, and name the .tar (--images)"),
        ("pool.TGZ", "decompress it with gunzip, and name the .tar (--images)"),
        ("pool.tar.bz2", "decompress it with bunzip2, and name the .tar (--images)"),
        ("pool.zip", "is not a folder (--images)"),
        ("none.tar", "no such folder (--images)"),
    ],
)
def test_what_is_no_image_root_is_refused_in_one_line(in_tmp: Path, name: str, remedy: str) -> None:
    if name != "none.tar":
        Path(name).write_bytes(b"")
    ended = dfal("select", "--images", name, "--strategy", "random", "--count", 2, "--out", "q.csv")
    assert ended.code == 2
    assert ended.stderr.startswith(f"dfal select: {name}: ")
    assert ended.stderr.endswith(f"{remedy}\n")
    assert ended.stderr.count("\n") == 1


def test_compressed_tars_in_a_folder_are_said_not_to_be_read(in_tmp: Path) -> None:
    write(Path("images/a.tar.gz"), "")
    ended = dfal("select", "--images", "images", "--strategy", "random", "--count", 2, "--out", "q.csv")
    assert ended.code == 3
    assert "1 other file is not read: 1 .tar.gz; images are not read from compressed tars: decompress them to .tar" in (
        ended.stderr
    )


def test_a_truncated_tar_is_a_warning_and_its_whole_images_are_used(project: Path, in_tmp: Path) -> None:
    tar = pack(project / "laid-out", Path("pool.tar"))
    os.truncate(tar, tar.stat().st_size // 2)
    ended = dfal("select", "--images", tar, "--strategy", "random", "--count", 2, "--out", "q.csv", "--json")
    assert ended.code == 0
    assert "the tar ends here: it is truncated, or still being written; copy it again" in ended.json["warnings"][0]
    assert 2 <= ended.json["counts"]["pool"] < 24

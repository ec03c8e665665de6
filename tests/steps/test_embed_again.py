"""embed, called again: what has changed is computed, and nobody else's file is overwritten."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dfal_cli.system.files import locked
from dfal_cli.tables.embeddings import read_embeddings
from tests.conftest import write
from tests.steps.embedding import embed, embedded, paint, seen
from tests.steps.test_embed import names_in, project

__all__ = ["project"]


class TestRunAgain:
    """A second run computes what has changed since the first."""

    @pytest.fixture(autouse=True)
    def first(self, project: Path) -> None:
        embedded()
        assert seen() == 12

    def test_without_a_change_the_output_is_up_to_date_and_stays(self) -> None:
        before = Path("e.parquet").stat()
        assert embed("--json").json["status"] == "up to date"
        assert embed("--batch-size", 3, "--workers", 0).stdout == "e.parquet\ne.parquet.backbone.safetensors\n"
        assert Path("e.parquet").stat() == before
        assert seen() == 0

    def test_new_and_changed_images_are_computed_and_rows_of_missing_ones_removed(self) -> None:
        paint(Path("photos/c/new.png"), np.full((2, 2, 3), 7))
        paint(Path("photos/a/00.png"), np.full((2, 2, 3), 90))
        Path("photos/b/01.png").unlink()
        ended = embed("--json")
        assert ended.json["counts"].items() >= {"images": 12, "embedded": 2, "unchanged": 10, "gone": 1}.items()
        assert seen() == 2
        fresh = embedded(out="fresh.parquet")
        assert fresh.images == names_in()
        assert Path("fresh.parquet").read_bytes() == Path("e.parquet").read_bytes()

    def test_the_rows_of_missing_images_are_removed_even_if_nothing_is_new(self) -> None:
        shutil.rmtree("photos/b")
        ended = embed()
        assert "no image is new or has changed; updating e.parquet" in ended.stderr
        assert "embedding 0 of" not in ended.stderr
        assert read_embeddings(Path("e.parquet")).images == names_in()
        assert seen() == 0

    def test_another_folder_does_not_replace_all_embeddings(self) -> None:
        Path("others").mkdir()
        shutil.copy("photos/a/00.png", "others/00.png")
        before = Path("e.parquet").read_bytes()
        ended = embed("--images", "others")
        assert (ended.code, "none of its 12 images is under others" in ended.stderr) == (2, True)
        assert Path("e.parquet").read_bytes() == before
        assert embed("--images", "others", "--force").code == 0

    def test_a_renamed_image_root_is_recorded_and_nothing_is_computed_again(self) -> None:
        Path("photos").rename("pictures")
        assert embed("--images", "pictures").code == 0
        assert seen() == 0
        assert read_embeddings(Path("e.parquet")).metadata["image_root"] == "pictures"

    def test_other_settings_are_refused_unless_forced(self) -> None:
        for change, words in (
            (("--image-size", 16), "with --image-size 32, not 16"),
            (("--resize", "pad"), "without --resize pad"),
            (("--white", 4095), "without --white 4095"),
        ):
            ended = embed(*change)
            assert (ended.code, words in ended.stderr) == (2, True), ended.stderr
        before = Path("e.parquet").read_bytes()
        assert embedded("--resize", "pad", "--force").metadata["resize"]["how"] == "pad"
        assert seen() == 12
        assert Path("e.parquet").read_bytes() != before

    def test_embeddings_of_other_weights_are_not_mixed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEIGHT", "2")
        paint(Path("photos/new.png"), np.zeros((2, 2, 3)))
        ended = embed()
        assert (ended.code, "made with other weights of mine:quarters" in ended.stderr) == (2, True)
        assert len(read_embeddings(Path("e.parquet")).images) == 12

    def test_other_code_of_the_backbone_is_refused(self) -> None:
        with Path("mine.py").open("a") as handle:
            handle.write("# changed\n")
        ended = embed()
        assert (ended.code, "with other code of the backbone" in ended.stderr) == (2, True)

    def test_weights_that_are_missing_beside_the_embeddings_are_written_again(self) -> None:
        weights = Path("e.parquet.backbone.safetensors")
        before = weights.read_bytes()
        weights.unlink()
        embedded()
        assert weights.read_bytes() == before


def test_a_file_of_another_program_is_not_overwritten(project: Path) -> None:
    for name, words in (
        ("e.parquet", "e.parquet: exists and was not written by this version of `dfal embed`"),
        ("e.parquet.backbone.safetensors", "safetensors: exists and was not written by dfal"),
    ):
        write(Path(name), "mine")
        ended = embed()
        assert (ended.code, words in ended.stderr) == (2, True)
        assert Path(name).read_text() == "mine\n"
        Path(name).unlink()


def test_a_second_command_waits_for_its_turn(project: Path) -> None:
    with locked(Path("e.parquet")):
        ended = embed()
    assert (ended.code, "e.parquet: is being written by" in ended.stderr) == (75, True)

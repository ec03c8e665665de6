"""export: a list handed over to a labelling tool, and read back when it is answered."""

import json
import os
import shutil
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pandas as pd
import pytest

from dfal_cli.schemas import HANDED_TO
from dfal_cli.tables import ImageNames, read_labels_files
from dfal_cli.tables.tools import EXPORTS
from tests.conftest import Ended, dfal, write
from tests.tables.tool_files import draw_images

IMAGES = ("a/0.png", "a/1.png", "b/0.png", "test/2.png", "ä b?.png")
LABELS = {"a/1.png": "square, big", "b/0.png": "__skip__"}
"""What the list says already."""

OUT = Path("out")


def export(to: str, *arguments: object) -> Ended:
    return dfal("export", "--queries", "queries.csv", "--images", "img", "--to", to, "--out", OUT, *arguments)


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """Five images and a list of them, sorted by image as a spreadsheet may; two have labels."""
    draw_images(in_tmp / "img", IMAGES)
    rows = [f'{len(IMAGES) - place},{image},"{LABELS.get(image, "")}",0.1,' for place, image in enumerate(IMAGES)]
    write(in_tmp / "queries.csv", "rank,image,label,margin,twin", *rows)
    write(in_tmp / "labels.csv", "image,label", "old.png,circle")
    return in_tmp


RANKED = IMAGES[::-1]


def test_the_options_name_every_tool() -> None:
    assert tuple(EXPORTS) == HANDED_TO


@pytest.mark.parametrize(
    ("to", "way"),
    [(to, way) for to in HANDED_TO for way in ("links", "copies") if way == "links" or EXPORTS[to].holds_images],
)
def test_what_is_written_reads_back_as_what_the_list_says(to: str, way: str, house: Path) -> None:
    ended = export(to, "--labels", "labels.csv", *(["--copy"] if way == "copies" else []), "--json")
    assert ended.code == 0, ended.stderr
    counts = ended.json["counts"]
    assert (counts["images"], counts["answered"], counts["missing"], counts["classes"]) == (5, 2, 0, 2)
    assert all(Path(output).exists() for output in ended.json["outputs"])
    read = OUT / "tasks-001.json" if to == "labelstudio" else OUT
    names = ImageNames(Path("img"), set(IMAGES).__contains__, lambda: IMAGES)
    table = read_labels_files([read], names.renamed)
    assert dict(zip(table["image"], table["label"], strict=True)) == LABELS


@pytest.mark.parametrize("leaving", ["file.png", "folder/file.png"])
@pytest.mark.parametrize("to", HANDED_TO)
def test_an_image_behind_a_link_out_of_the_root_needs_follow_links(to: str, leaving: str, house: Path) -> None:
    draw_images(house / "elsewhere", ("file.png",))
    Path("img/file.png").symlink_to(house / "elsewhere/file.png")
    Path("img/folder").symlink_to(house / "elsewhere")
    write(house / "queries.csv", "image,label", "a/0.png,circle", f"{leaving},")
    for way in ([], ["--copy"]) if EXPORTS[to].holds_images else ([],):
        ended = export(to, *way)
        assert (ended.code, OUT.exists()) == (3, False)
        assert ended.stderr == (
            f"dfal export: img: image '{leaving}': a link that leaves the image root; "
            "use --follow-links to allow such links\n"
        )
    assert export(to, "--follow-links").code == 0


def test_what_a_file_manager_leaves_in_the_folder_is_no_change(house: Path) -> None:
    assert export("folder").code == 0
    write(OUT / "square, big" / ".DS_Store", "")
    write(OUT / "Thumbs.db", "")
    assert export("folder", "--class-names", "circle", "--force").code == 0
    write(OUT / "circle" / "new.png", "")
    assert "files have been added" in export("folder", "--class-names", "star", "--force").stderr


def test_tasks_are_in_rank_order_with_a_url_the_path_and_no_field_named_label(house: Path) -> None:
    assert export("labelstudio", "--labels", "labels.csv").code == 0
    tasks = json.loads((OUT / "tasks-001.json").read_text())
    assert [task["data"]["dfal_image"] for task in tasks] == list(RANKED)
    assert [task["data"]["dfal_rank"] for task in tasks] == [1, 2, 3, 4, 5]
    for task in tasks:
        url = task["data"]["image"]
        assert unquote(url) == f"/data/local-files/?d=img/{task['data']['dfal_image']}"
        assert url.isascii() and url.count("?") == 1
        assert set(task["data"]) == {"image", "dfal_image", "dfal_rank"}


def test_tasks_are_split_into_files_of_at_most_5000(house: Path) -> None:
    images = [f"{number}.png" for number in range(5001)]
    for image in images:
        os.link("img/a/0.png", f"img/{image}")
    write(house / "queries.csv", "image,label", *(f"{image}," for image in images))
    ended = export("labelstudio", "--class-names", "circle,square")
    assert ended.stdout.splitlines() == ["out/labels.xml", "out/tasks-001.json", "out/tasks-002.json"]
    parts = [json.loads((OUT / f"tasks-00{part}.json").read_text()) for part in (1, 2)]
    assert [len(part) for part in parts] == [5000, 1]
    assert [task["data"]["dfal_image"] for part in parts for task in part] == images


def test_the_labelling_configuration_has_the_classes_in_order_and_quotes_them(house: Path) -> None:
    assert export("labelstudio", "--class-names", 'z,a "b" <c>&', "--labels", "labels.csv").code == 0
    view = ElementTree.parse(OUT / "labels.xml").getroot()
    choices = list(view.iter("Choice"))
    assert [each.get("value") for each in choices] == ["z", 'a "b" <c>&', "circle", "square, big"]
    assert [each.get("hotkey") for each in choices] == ["1", "2", "3", "4"]


def test_it_says_how_to_start_label_studio_and_what_to_add(house: Path) -> None:
    told = export("labelstudio", "--labels", "labels.csv").stderr
    for part in (
        "export LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true",
        f"export LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={house.resolve()}\n",
        f"{(house / 'img').resolve()}\n",
        "out/labels.xml",
        "out/tasks-*.json",
    ):
        assert part in told


def test_the_printed_lines_can_be_pasted_into_a_shell(house: Path) -> None:
    (house / "my photos").mkdir()
    (house / "img").rename("my photos/img")
    told = export("labelstudio", "--labels", "labels.csv", "--images", "my photos/img").stderr
    assert f"export LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT='{(house / 'my photos').resolve()}'\n" in told


def test_cvat_gets_its_labels_and_the_size_of_each_image(house: Path) -> None:
    assert export("cvat", "--labels", "labels.csv").code == 0
    labels = json.loads((OUT / "cvat-labels.json").read_text())
    assert [(each["name"], each["type"]) for each in labels] == [
        ("circle", "tag"), ("square, big", "tag"), ("__skip__", "tag"),
    ]  # fmt: skip
    images = list(ElementTree.parse(OUT / "annotations.xml").getroot().iter("image"))
    assert [image.get("name") for image in images] == list(RANKED)
    assert {(image.get("width"), image.get("height")) for image in images} == {("16", "16")}
    assert all((OUT / "images" / image).is_file() for image in IMAGES)


def test_hugging_face_reads_labels_as_they_are(house: Path) -> None:
    assert export("huggingface").code == 0
    table = pd.read_csv(OUT / "metadata.csv").fillna("")
    assert table.columns.tolist() == ["file_name", "label", "dfal_image"]
    assert table["dfal_image"].tolist() == list(RANKED)
    assert all((OUT / name).is_file() for name in table["file_name"])


@pytest.mark.parametrize("labels", [("007", "1"), ("NA", "cat"), ("1e5", "2")])
def test_labels_that_a_csv_reader_would_change_are_written_as_json_lines(labels: tuple[str, str], house: Path) -> None:
    write(house / "queries.csv", "image,label", f"a/0.png,{labels[0]}", f"a/1.png,{labels[1]}")
    assert export("huggingface").stdout == "out/metadata.jsonl\n"
    rows = [json.loads(line) for line in (OUT / "metadata.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == list(labels)


def test_classes_are_folders_and_images_of_one_name_stay_apart(house: Path) -> None:
    assert export("folder", "--labels", "labels.csv").code == 0
    found = sorted(path.relative_to(OUT).as_posix() for path in OUT.rglob("*.png"))
    assert found == ["__skip__/0.png", "__unanswered__/0-2.png", "__unanswered__/2.png", "__unanswered__/ä b?.png",
                     "square, big/1.png"]  # fmt: skip
    assert (OUT / "circle").is_dir()
    assert (OUT / "__unanswered__/0-2.png").samefile("img/a/0.png")
    (OUT / "__unanswered__/0-2.png").rename(OUT / "circle/0-2.png")
    answered = ("--queries", "queries.csv", "--answers", OUT)
    merged = dfal("merge", *answered, "--labels", "labels.csv", "--allow-new-classes")
    assert merged.code == 0, merged.stderr
    assert "\na/0.png,circle,\n" in Path("labels.csv").read_text()


def test_missing_images_are_left_out_and_counted(house: Path) -> None:
    (house / "img/a/0.png").unlink()
    ended = export("folder", "--json")
    assert (ended.code, ended.json["counts"]["images"], ended.json["counts"]["missing"]) == (0, 4, 1)
    assert "1 of 5 images in queries.csv is not under img; the first: a/0.png" in ended.json["warnings"][0]
    shutil.rmtree("img")
    (house / "img").mkdir()
    assert export("folder").code == 3

"""The preview page: one file that shows the queries, takes answers, and runs no script but its own."""

import base64
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageCms

from dfal_cli.images import STRETCH
from dfal_cli.pages.preview import write_preview
from dfal_cli.pages.preview_pictures import Images, limit_of
from dfal_cli.strategies import STRATEGIES
from tests.conftest import dfal, draw_folder, write, write_margins
from tests.labelling.serving import served
from tests.page import Page
from tests.steps.test_select_strategies import add, vectors

EVIL = "<script>alert(1)<&\"'>.png"


@pytest.fixture
def page(in_tmp: Path) -> Page:
    """A page of four queries: one with a twin, one of an evil name, one that is none, one that leads elsewhere."""
    draw_folder(in_tmp, each=2)
    (in_tmp / "images" / "001.png").rename(in_tmp / "images" / EVIL)
    (in_tmp / "images" / "002.png").write_text("<html>")
    (in_tmp / "images" / "003.png").rename(in_tmp / "outside.png")
    (in_tmp / "images" / "003.png").symlink_to(in_tmp / "outside.png")
    clean = np.asarray(Image.open(in_tmp / "images" / "000.png"), np.float32)[None] / 255
    twin = clean.copy()
    twin[0, 3, 5] += 0.01
    np.save(in_tmp / "t.npy", twin)
    margins = {"000.png": 0.125, EVIL: 0.25, "002.png": None, "003.png": None}
    write_margins(in_tmp / "s.parquet", in_tmp / "images", margins, twin=["t.npy", None, None, None])
    ended = dfal("select", "--scores", "s.parquet", "--count", 4, "--out", "q.csv", "--preview", "p.html")
    assert (ended.code, ended.stdout) == (0, "q.csv\np.html\n"), ended.stderr
    return Page(in_tmp / "p.html")


def test_the_page_needs_nothing_but_itself(page: Page) -> None:
    for _, attributes in page.tags:
        assert (attributes.get("src") or "data:").startswith("data:image/") or "src" not in attributes
        assert "href" not in attributes
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not re.search(r"https?:|fetch\(|XMLHttp", page.source)
    assert "url(" not in page.source


def test_browsers_may_run_the_pages_own_script_and_load_nothing(page: Page) -> None:
    (policy,) = (str(attributes["content"]) for _, attributes in page.tags if "http-equiv" in attributes)
    script = page.source.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", f"script-src 'sha256-{digest}'",
    ]  # fmt: skip


def test_names_are_shown_and_not_run(page: Page) -> None:
    assert EVIL in page.text
    assert page.source.count("<script") == 2  # the list, which is data, and the script of the page
    assert [row[1] for row in listed(page)["rows"]] == ["000.png", EVIL, "002.png", "003.png"]
    assert all(not name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_the_names_of_folders_are_not_shown_as_they_may_be_the_answers(in_tmp: Path) -> None:
    (in_tmp / "skirt").mkdir()
    Image.new("L", (16, 16)).save("skirt/0e9d.png")
    queries = pd.DataFrame([{"rank": "1", "image": "skirt/0e9d.png", "label": "", "margin": "", "twin": ""}])
    write_preview(Path("p.html"), Path("q.csv"), queries, None, in_tmp, {}, "random", keys={}, keep_better=False)
    shown, *_ = Path("p.html").read_text().split("<script")
    assert '<p class="name" title="skirt/0e9d.png">0e9d.png</p>' in shown
    assert shown.count("skirt") == 1, "on demand"


def test_ranks_margins_and_reasons_are_shown(page: Page) -> None:
    for part in ("1", "4", "0.125", "0.25", "not an image", "leaves the image root"):
        assert part in page.text


def test_the_twin_stands_beside_its_image_with_the_difference_amplified(page: Page) -> None:
    image, twin, difference, _ = page.pictures()
    assert image.size == twin.size == difference.size == (16, 16)
    assert np.array_equal(np.asarray(image), np.asarray(Image.open("images/000.png")))
    shown = np.asarray(difference).astype(int)
    assert shown[3, 5] == 255
    assert np.abs(np.delete(shown.ravel(), 3 * 16 + 5) - 128).max() <= 1


def test_the_twin_of_a_cropped_image_is_compared_with_its_crop(in_tmp: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 48), dtype=np.uint8)
    Image.fromarray(pixels).save("a.png")
    twin = pixels[None, :, 16:32] / np.float32(255)
    twin[0, 3, 5] += 0.01
    np.save("t.npy", twin)
    queries = pd.DataFrame([{"rank": "1", "image": "a.png", "label": "", "margin": "0.01", "twin": "t.npy"}])
    resize = {"how": "crop", "shorter_side": 16, "interpolation": "bilinear"}
    metadata = {"input_shape": [1, 16, 16], "white": None, "resize": resize, "norm": "l2"}
    write_preview(Path("p.html"), Path("q.csv"), queries, None, in_tmp, metadata, "dfal", keys={}, keep_better=False)
    whole, _, difference = Page(Path("p.html")).pictures()
    assert whole.size == (48, 16)
    shown = np.asarray(difference).astype(int)
    assert shown[3, 5] == 255
    assert np.abs(np.delete(shown.ravel(), 3 * 16 + 5) - 128).max() <= 1


def test_the_page_shows_predictions_only_with_with_predictions(page: Page) -> None:
    assert not {"between dark", "probably dark"} & set(re.findall(r"\w+ dark", page.words))
    select = ("select", "--scores", "s.parquet", "--count", 4, "--out", "r.csv", "--preview", "r.html")
    dfal(*select, "--with-predictions")
    words = Page(Path("r.html")).words
    assert words.count("between dark and light") == 2
    assert words.count("probably dark (50 %)") == 2


def listed(page: Page) -> Any:
    """What the script of a page is given."""
    return json.loads(page.source.split('<script type="application/json" id="list">')[1].split("</script>")[0])


def filled_in(page: Page, labels: dict[str, str]) -> pd.DataFrame:
    """The table that the page saves, with the label of each image."""
    given = listed(page)
    table = pd.DataFrame(given["rows"], columns=given["columns"])
    assert list(table.columns).index("rank") == given["rank"]
    table.isetitem(given["label"], table["image"].map(labels).fillna(""))
    return table


def test_merge_takes_the_answers_that_the_page_saves_with_their_twins(page: Page) -> None:
    assert Path("q.csv").read_text(encoding="utf-8").splitlines()[0] == ",".join(listed(page)["columns"])
    assert listed(page)["file"] == "q.answers.csv"
    assert "dfal merge --queries q.answers.csv --labels labels.csv" in page.text
    answers = {"000.png": "dark", EVIL: "light", "002.png": "__skip__"}
    filled_in(page, answers).to_csv("q.answers.csv", index=False)
    ended = dfal("merge", "--queries", "q.answers.csv", "--labels", "mine.csv")
    assert ended.code == 0, ended.stderr
    merged = pd.read_csv("mine.csv", keep_default_na=False).set_index("image")
    assert merged["label"].to_dict() == {"000.png": "dark", EVIL: "light", "002.png": "__skip__"}
    assert merged["twin"]["000.png"] == "t.npy"


def test_answers_are_kept_for_this_list_and_no_other(page: Page) -> None:
    first = listed(page)["identity"]
    select = ("select", "--scores", "s.parquet", "--out", "r.csv", "--preview", "r.html", "--force")
    dfal(*select, "--count", 4, "--with-predictions")
    assert listed(Page(Path("r.html")))["identity"] == first
    dfal(*select, "--count", 3)
    assert listed(Page(Path("r.html")))["identity"] != first


def test_the_classes_of_the_labels_are_offered_and_those_of_the_network_first(in_tmp: Path) -> None:
    draw_folder(in_tmp, each=2)
    write(Path("l.csv"), "image,label", "000.png,zebra", "001.png,ant", "002.png,__skip__", "003.png,")
    first = ("select", "--images", "images", "--labels", "l.csv", "--strategy", "random", "--count", 1)
    assert dfal(*first, "--out", "q.csv", "--preview", "p.html").code == 0
    assert listed(Page(Path("p.html")))["classes"] == [["ant", "1"], ["zebra", "2"]]
    Path("l.csv.keys.csv").unlink()
    write_margins(Path("s.csv"), Path("images"), {"003.png": 0.5})
    metadata = Path("s.csv.meta.json")
    stored = json.loads(metadata.read_text()) | {"classes": ["light", "dark", "zebra"]}
    metadata.write_text(json.dumps(stored))
    scored = ("select", "--scores", "s.csv", "--labels", "l.csv", "--count", 1)
    assert dfal(*scored, "--out", "r.csv", "--preview", "r.html").code == 0
    assert listed(Page(Path("r.html")))["classes"] == [["light", "1"], ["dark", "2"], ["zebra", "3"], ["ant", "4"]]
    write(Path("l.csv.keys.csv"), "class,key", "zebra,7", "dark,d")
    assert dfal(*scored, "--out", "r.csv", "--preview", "r.html", "--force").code == 0
    found = listed(Page(Path("r.html")))["classes"]
    assert found == [["light", "1"], ["ant", "2"], ["zebra", "7"], ["dark", "d"]], "as on the labelling page"


def test_the_keys_of_a_page_are_those_of_later_pages_and_of_the_labelling_page(in_tmp: Path) -> None:
    draw_folder(in_tmp, each=4)
    first = ("select", "--images", "images", "--strategy", "random", "--count", 1, "--keys", "k.csv")
    assert dfal(*first, "--class-names", "shoe,hat", "--out", "q.csv", "--preview", "p.html").code == 0
    keys = [["shoe", "1"], ["hat", "2"]]
    assert listed(Page(Path("p.html")))["classes"] == keys
    write(Path("l.csv"), "image,label", "000.png,apron", "001.png,hat")
    assert dfal(*first, "--labels", "l.csv", "--out", "r.csv", "--preview", "r.html").code == 0
    assert listed(Page(Path("r.html")))["classes"] == [*keys, ["apron", "3"]]
    with served(Path("r.csv"), Path("images"), keys=Path("k.csv"), class_names=["boot", "hat"]) as page:
        found = [[each["name"], each["key"]] for each in page.get("state").json["classes"]]
    assert found == [*keys, ["apron", "3"], ["boot", "4"]]
    ended = dfal(*first, "--out", "s.csv")
    assert ended.code == 2
    assert "--keys: no effect without --preview" in ended.stderr


@pytest.mark.parametrize(("strategy", "pictures"), [("dfal", 6), ("coverage", 2), ("random", 2), ("entropy", 2)])
def test_twins_are_shown_only_if_the_strategy_is_about_them(tmp_path: Path, strategy: str, pictures: int) -> None:
    np.save(tmp_path / "t.npy", np.zeros((1, 16, 16), np.float32))
    page = preview_by(strategy, tmp_path, twin=["t.npy"] * 4)
    assert len(page.pictures()) == pictures
    assert ("Why this one?" in page.words) == (strategy in ("dfal", "entropy"))


def test_a_hundred_photos_with_twins_take_less_than_six_megabytes(tmp_path: Path) -> None:
    """The photo has details of every size and the grain of a dark scene, the twin is noise, the worst case."""
    generator = np.random.default_rng(0)
    pixels = generator.normal(0, 8, (900, 1200, 3))
    for side in (3, 6, 12, 25, 50, 100, 200):
        coarse = Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8))
        pixels += (np.asarray(coarse.resize((1200, 900), Image.Resampling.BICUBIC)) - 128.0) * 2 / side**0.5
    Image.fromarray((pixels + 128).clip(0, 255).astype(np.uint8)).save(tmp_path / "a.jpg", quality=95)
    np.save(tmp_path / "t.npy", generator.random((3, 224, 224), np.float32))
    images = Images(tmp_path, False, None, STRETCH, limit_of(100))
    photo = images.picture("a.jpg", beside_twin=True)
    twin, difference, _ = images.twin_pictures("a.jpg", tmp_path / "t.npy", [3, 224, 224])
    sources = [photo.source, twin.source, difference.source]
    assert all(sources)
    assert 100 * sum(map(len, sources)) < 5.9e6
    shown = Image.open(io.BytesIO(base64.b64decode(photo.source.split(",")[1])))
    assert shown.width / shown.height == pytest.approx(4 / 3, rel=0.01)
    assert shown.width >= 512


def test_a_photo_is_shown_upright(in_tmp: Path) -> None:
    Path("images").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    pixels = np.zeros((300, 400), np.uint8)
    pixels[:, :200] = 255
    Image.fromarray(pixels).save("images/a.jpg", exif=exif)
    first = ("select", "--images", "images", "--strategy", "random", "--count", 1)
    assert dfal(*first, "--out", "q.csv", "--preview", "p.html").code == 0
    (picture,) = Page(in_tmp / "p.html").pictures()
    assert picture.size == (300, 400)
    assert np.asarray(picture.convert("L")).mean(1)[[50, 350]] == pytest.approx([255, 0], abs=5)


def test_the_colours_of_a_photo_are_those_of_its_profile(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.effect_noise((600, 400), 50).convert("RGB").save(tmp_path / "a.jpg", icc_profile=profile)
    photo = Images(tmp_path, False, None, STRETCH, limit_of(10)).picture("a.jpg", beside_twin=False)
    shown = Image.open(io.BytesIO(base64.b64decode(photo.source.split(",")[1])))
    assert shown.info["icc_profile"] == profile


def test_a_page_that_was_lost_is_made_again(page: Page) -> None:
    Path("p.html").unlink()
    ended = dfal("select", "--scores", "s.parquet", "--count", 4, "--out", "q.csv", "--preview", "p.html", "--json")
    assert ended.json["status"] == "up to date"
    assert Path("p.html").read_text(encoding="utf-8") == page.source


def test_a_foreign_page_is_overwritten_only_with_force(page: Page) -> None:
    again = ("select", "--scores", "s.parquet", "--count", 3, "--out", "r.csv", "--preview", "mine.html")
    Path("mine.html").write_text("<html><p>precious", encoding="utf-8")
    ended = dfal(*again)
    assert (ended.code, "mine.html: exists and is not a preview page of dfal" in ended.stderr) == (2, True), (
        ended.stderr
    )
    assert Path("mine.html").read_text(encoding="utf-8") == "<html><p>precious"
    assert not Path("r.csv").exists()
    assert dfal(*again, "--force").code == 0
    assert "precious" not in Path("mine.html").read_text(encoding="utf-8")
    assert dfal(*again[:-3], "s.csv", "--preview", "mine.html").code == 0, "the page of another list is ours"


def test_a_first_list_has_a_page_too_and_large_colour_images_are_shrunk(in_tmp: Path) -> None:
    Path("images").mkdir()
    Image.effect_noise((1200, 800), 50).convert("RGB").save("images/a.jpg")
    first = ("select", "--images", "images", "--strategy", "random", "--count", 1)
    assert dfal(*first, "--out", "q.csv", "--preview", "p.html").code == 0
    (picture,) = Page(in_tmp / "p.html").pictures()
    assert 200 <= max(picture.size) < 1200
    assert picture.width / picture.height == pytest.approx(1.5, rel=0.01)


def test_an_image_root_given_relative_is_found_from_another_folder(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    select = ("select", "--scores", "../s.parquet", "--count", 1, "--out", "q.csv", "--preview", "p.html")
    assert dfal(*select).code == 0
    assert len(Page(Path("p.html")).pictures()) == 3


def preview_by(strategy: str, root: Path, **columns: list[Any]) -> Page:
    """A page of two queries from a pool of four."""
    draw_folder(root, each=2)
    margins = {f"{number:03}.png": 0.5 * number for number in range(4)}
    path = write_margins(root / "s.parquet", root / "images", margins, **columns)
    add(path, embedding=vectors(np.eye(4).tolist()))
    select = ("select", "--scores", path, "--strategy", strategy, "--count", 2, "--out", root / "q.csv")
    ended = dfal(*select, "--preview", root / "p.html")
    assert ended.code == 0, ended.stderr
    return Page(root / "p.html")


def test_what_they_were_picked_by_is_said_and_its_value_stands_on_each_card(tmp_path: Path) -> None:
    page = preview_by("entropy", tmp_path, entropy=[0.125, 0.25, 0.375, 0.75])
    assert f"picked by entropy: {STRATEGIES['entropy'].help}; best query first." in page.words
    assert "entropy 0.75 margin 1.5" in page.words
    assert "entropy 0.375 margin 1" in page.words
    assert "(not used for this selection)" in page.words


def test_where_no_query_has_a_margin_nothing_is_said_of_margins(tmp_path: Path) -> None:
    assert "The margin" in preview_by("least-confidence", tmp_path / "some").words
    none = preview_by("least-confidence", tmp_path / "none", margin=[None] * 4, outcome=["skipped"] * 4)
    assert "The margin" not in none.words
    assert "confidence 0.5" in none.words


def test_a_picture_that_stands_for_a_cluster_is_said_to(tmp_path: Path) -> None:
    said = "Each image represents a cluster of similar images"
    assert said in preview_by("dfal-diverse", tmp_path / "diverse").words
    assert said not in preview_by("dfal", tmp_path / "dfal").words


@pytest.mark.parametrize("preview", ["folder", "oracle.csv"])
def test_a_page_that_cannot_be_written_there_is_a_usage_error_that_names_it(in_tmp: Path, preview: str) -> None:
    draw_folder(in_tmp, each=2)
    Path("folder").mkdir()
    before = Path("oracle.csv").read_bytes()
    first = ("select", "--images", "images", "--strategy", "random", "--count", 1, "--out", "q.csv")
    ended = dfal(*first, "--preview", preview)
    assert ended.code == 2
    assert f"{preview}" in ended.stderr
    assert ".tmp" not in ended.stderr
    assert Path("oracle.csv").read_bytes() == before
    assert not Path("q.csv").exists()

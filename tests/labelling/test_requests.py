"""Who may ask the labelling page for something, and what: nothing but the page, and images of the list."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from tests.conftest import write
from tests.labelling.serving import TOKEN, Served, draw_list, labels_in, served

ANSWER = json.dumps(
    {"person": "me", "answers": [{"image": "000.png", "label": "hat", "before": ""}], "after": 0, "count": 1}
).encode()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("page")
    queries = draw_list(folder, 3)
    write(folder / "secret.csv", "image,label", "x,y")
    Image.new("L", (4, 4)).save(folder / "secret.png")
    Image.new("L", (4, 4)).save(folder / "images/not-asked.png")
    (folder / "images/link.png").symlink_to(folder / "secret.png")
    with queries.open("a") as file:
        file.write("4,link.png,,,\n5,gone.png,,,\n")
    with served(queries, folder / "images", class_names=["hat"]) as page:
        yield page


def posted(page: Served, body: bytes | None = ANSWER, **headers: str) -> int:
    given = {"Origin": f"http://{page.host}", "Content_Type": "application/json"} | headers
    return page.request("POST", f"/{TOKEN}/answers", body, **given).status


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/state",
        "/wrong/",
        "/wrong/state",
        f"/{TOKEN}",
        f"/{TOKEN}x/state",
        "http://127.0.0.1/state",
        f"/%61-token/../{TOKEN}",
        "",
    ],
)
def test_without_the_token_nothing_is_answered(page: Served, path: str) -> None:
    reply = page.request("GET", path or "*")
    assert reply.status in (400, 403, 404)
    assert b"queries.csv" not in reply.body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8350", "127.0.0.1.evil.example", "", "[", "localhost@evil.example"]
)
def test_other_names_of_this_machine_are_not_answered(page: Served, host: str) -> None:
    assert page.request("GET", f"/{TOKEN}/state", Host=host).status in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_tunnel_may_end_at_any_port(page: Served, host: str) -> None:
    assert page.request("GET", f"/{TOKEN}/state?person=me", Host=f"{host}:9999").status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1", "file://"]
)
def test_other_sites_can_neither_read_nor_write(page: Served, origin: str) -> None:
    assert posted(page, Origin=origin) == 403
    assert page.request("GET", f"/{TOKEN}/state?person=me", Origin=origin).status == 403


def test_a_form_or_a_picture_of_another_site_reaches_nothing(page: Served) -> None:
    assert page.request("GET", f"/{TOKEN}/photo?image=000.png&side=64", Sec_Fetch_Site="cross-site").status == 403
    assert posted(page, Sec_Fetch_Site="cross-site") == 403
    assert page.request("POST", f"/{TOKEN}/answers", ANSWER, Content_Type="application/json").status == 403
    assert posted(page, Content_Type="text/plain") == 415
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert page.request("GET", f"/{TOKEN}/", **link).status == 200  # a link to the page in a chat


def test_the_page_may_not_be_framed_and_loads_nothing_from_elsewhere(page: Served) -> None:
    headers = page.get("").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


OUTSIDE = [
    "../secret.csv",
    "../secret.png",
    "images/../../secret.png",
    "/etc/passwd",
    "not-asked.png",
    "",
    "000.png\0",
    "..\\secret.png",
]


@pytest.mark.parametrize("image", OUTSIDE)
@pytest.mark.parametrize("encode", [quote, lambda text: quote(quote(text, safe=""), safe="")], ids=["once", "twice"])
@pytest.mark.parametrize("what", ["photo", "original"])
def test_only_images_of_the_list_are_sent(page: Served, image: str, encode, what: str) -> None:
    reply = page.request("GET", f"/{TOKEN}/{what}?side=64&image={encode(image)}")
    assert reply.status == 404
    assert b"x,y" not in reply.body


@pytest.mark.parametrize("image", ["link.png", "gone.png"])
def test_an_image_of_the_list_that_leaves_the_root_or_is_gone_is_not_sent(page: Served, image: str) -> None:
    reply = page.get("photo", image=image, side=64)
    assert reply.status == 422
    assert "link" in reply.text or "no such file" in reply.text


def test_links_out_of_the_image_root_are_followed_only_if_asked_to(tmp_path: Path) -> None:
    queries = draw_list(tmp_path, 1)
    (tmp_path / "elsewhere").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "elsewhere/a.png")
    (tmp_path / "images/file.png").symlink_to(tmp_path / "elsewhere/a.png")
    (tmp_path / "images/folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "images/within.png").symlink_to("000.png")
    write(queries, "image,label", "000.png,", "file.png,", "folder/a.png,", "within.png,")
    for follow_links, status in ((False, 422), (True, 200)):
        with served(queries, tmp_path / "images", follow_links=follow_links) as page:
            for what in ("photo", "original"):
                assert page.get(what, image="within.png", side=64).status == 200
                for image in ("file.png", "folder/a.png"):
                    assert page.get(what, image=image, side=64).status == status


@pytest.mark.parametrize(
    "path",
    [
        "page/../app.py",
        "page/..%2fapp.py",
        "page/%2e%2e/app.py",
        "page//etc/passwd",
        "page/",
        "page/app.py",
        "nothing",
        "..",
        "%2e%2e/",
    ],
)
def test_only_the_files_of_the_page_are_sent(page: Served, path: str) -> None:
    assert page.request("GET", f"/{TOKEN}/{path}").status in (403, 404)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"person": "me"}', b"[" * 100_000,
        b'{"person":"me","answers":[{"image":1,"label":2,"before":3}],"after":0,"count":1}',
        b'{"person":"me","answers":[["000.png","hat",""]],"after":0,"count":1}',
        b'{"person":"me","answers":[],"after":"x","count":1}',
    ],
)  # fmt: skip
def test_what_is_not_an_answer_is_refused(page: Served, body: bytes) -> None:
    assert posted(page, body) == 400


def test_over_long_requests_are_refused(page: Served) -> None:
    assert posted(page, None, Content_Length="600000") == 413
    assert page.request("GET", f"/{TOKEN}/state?person={'x' * 100_000}").status in (400, 414, 431)


@pytest.mark.parametrize(
    "query", ["first=x&count=1", "first=1", f"first={'9' * 5000}&count=1", "first=1&count=%FF", "first=%D9%A3&count=1"]
)
def test_numbers_that_are_none_are_refused(page: Served, query: str) -> None:
    assert page.request("GET", f"/{TOKEN}/rows?person=me&{query}").status == 400


@pytest.mark.parametrize(("first", "count"), [(-5, 2), (999, 5), (0, -1), (0, 999_999_999), (999_999_999, 1)])
def test_rows_beyond_the_list_are_left_out(page: Served, first: int, count: int) -> None:
    reply = page.get("rows", first=first, count=count)
    assert reply.status == 200
    assert len(reply.json["rows"]) <= 5


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_are_refused(page: Served, method: str) -> None:
    assert page.request(method, f"/{TOKEN}/answers", b"", Origin=f"http://{page.host}").status in (404, 405)


def test_the_link_that_a_browser_is_started_with_works_once(page: Served) -> None:
    first = page.request("GET", "/once/")
    assert (first.status, first.headers["location"]) == (303, f"/{TOKEN}/")
    assert page.request("GET", "/once/").status == 403


def test_a_label_that_is_no_class_is_refused(page: Served) -> None:
    assert posted(page, ANSWER.replace(b"hat", b"cat")) == 422


def test_nothing_of_all_this_was_written(page: Served, capfd: pytest.CaptureFixture[str]) -> None:
    posted(page, b'{"person":"me","answers":[{"image":"000.png","label":"hat","before":""}],"after":1e999,"count":1}')
    assert set(labels_in(page.session.board._queries.path)) == {""}
    assert "Traceback" not in capfd.readouterr().err

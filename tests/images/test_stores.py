"""Images in an object store, a real one on this machine: what is listed, what counts as changed, and how it fails."""

import itertools
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dfal_cli.errors import TryAgainError, UsageError
from dfal_cli.images import MissingImageError, list_images, probe_image, resolve_image
from dfal_cli.images.roots import content_hash, is_there, state_of_image
from dfal_cli.images.stores import NOT_PLAIN, store_of
from dfal_cli.system.fingerprints import sha256_of
from dfal_cli.system.image_roots import Url, image_root
from tests.conftest import MEANS, Ended, dfal, draw_folder, write
from tests.object_store import ObjectStore, too_late

CPU = ("--device", "cpu")


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """images/ with 6 images, averages.py with a backbone; the working directory."""
    write(in_tmp / "averages.py", MEANS)
    return draw_folder(in_tmp, each=3)


@pytest.fixture
def url(house: Path, object_store: ObjectStore) -> Url:
    """The URL of the same images."""
    return object_store.filled(house / "images")


@pytest.fixture
def s3() -> Iterator[Any]:
    """s3fs, which forgets its sessions before and after."""
    import s3fs

    def forget() -> None:
        s3fs.S3FileSystem.clear_instance_cache()
        store_of.cache_clear()

    forget()
    yield s3fs
    forget()


def embed(url: str, *further: object) -> Ended:
    return dfal("embed", "--images", url, "--out", "e.parquet", "--backbone", "averages:backbone", "--image-size", 8,
                *CPU, "--batch-size", 2, *further)  # fmt: skip


def told(ended: Ended) -> str:
    """The only line on stderr that is not a note."""
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("dfal ")]
    assert "Traceback" not in ended.stderr
    return line


def refusing(code: int, name: str, after: int = 0) -> Any:
    """Refuse to read images, after so many."""
    numbers = itertools.count()

    def answer(request: dict[str, Any]) -> tuple[int, str] | None:
        is_read = request["REQUEST_METHOD"] == "GET" and request["PATH_INFO"].endswith(".png")
        return (code, name) if is_read and next(numbers) >= after else None

    return answer


def test_a_url_is_kept_as_it_is_and_a_file_url_is_a_path() -> None:
    assert image_root("s3://bucket/a//b/") == "s3://bucket/a//b"
    assert isinstance(image_root("s3://bucket"), Url)
    assert image_root("memory://") == "memory://"
    assert image_root("file:///data/images") == Path("/data/images")
    assert image_root("c:/images") == Path("c:/images")


def test_keys_that_are_no_plain_paths_are_listed_with_the_reason(
    house: Path, object_store: ObjectStore, s3: Any
) -> None:
    url = object_store.filled(house / "images")
    keys = ("../up.png", "a//b.png", ".hidden/c.png", "notes.psd", "two.tar", "deep/d.png")
    for key in keys:
        s3.S3FileSystem().pipe_file(f"{url}/{key}", b"?")
    images, unreadable, skipped = list_images(url)
    assert images == sorted([*(path.name for path in Path("images").iterdir()), "deep/d.png"])
    assert [name for name, _ in unreadable] == ["../up.png", "a//b.png"]
    assert dict(unreadable)["a//b.png"] == NOT_PLAIN
    assert (skipped.hidden, skipped.others) == (1, {".psd": 1, ".tar": 1})


def test_an_image_is_read_with_its_state_known_from_the_listing(url: Url, object_store: ObjectStore) -> None:
    before = state_of_image(url, "000.png")
    list_images(url)
    object_store.requests.clear()
    assert state_of_image(url, "000.png") == before
    assert object_store.requests == []
    assert probe_image(resolve_image(url, "000.png")).height == 16
    assert object_store.requests == ["GET /" + url.removeprefix("s3://") + "/000.png"]
    assert content_hash(url, "000.png") == sha256_of(Path("images/000.png"))


def test_an_image_that_another_process_has_listed_takes_two_requests(url: Url, object_store: ObjectStore) -> None:
    object_store.requests.clear()
    assert probe_image(resolve_image(url, "000.png")).height == 16
    place = "/" + url.removeprefix("s3://") + "/000.png"
    assert object_store.requests == [f"HEAD {place}", f"GET {place}"]


def test_a_missing_image_is_missing(url: Url) -> None:
    for _ in range(2):
        assert (is_there(url, "none.png"), is_there(url, "000.png")) == (False, True)
        assert content_hash(url, "none.png") == ""
        with pytest.raises(MissingImageError):
            probe_image(resolve_image(url, "none.png"))
        list_images(url)


def two_at_once() -> Any:
    """Answer requests for images in pairs only."""
    together = threading.Barrier(2)

    def wait(request: dict[str, Any]) -> None:
        if request["REQUEST_METHOD"] == "GET":
            together.wait(timeout=20)

    return wait


def test_training_asks_for_each_labelled_image_once_and_reads_several_at_once(
    in_tmp: Path, object_store: ObjectStore
) -> None:
    url = object_store.filled(draw_folder(in_tmp, each=4) / "images")
    write(Path("mine.csv"), "image,label", *(f"{number:03d}.png,{number % 2}" for number in range(8)))
    object_store.requests.clear()
    with object_store.answering(two_at_once()):
        assert dfal("train", "--images", url, "--labels", "mine.csv", "--out", "m.safetensors", "--arch", "lenet5",
                    "--epochs", 1, *CPU).code == 0  # fmt: skip
    asked = Counter(request for request in object_store.requests if request.startswith("HEAD"))
    assert list(asked.values()) == [1] * 8


def test_the_next_training_in_the_same_process_sees_an_image_that_has_changed(url: Url, s3: Any) -> None:
    write(Path("mine.csv"), "image,label", *(f"{number:03d}.png,{number % 2}" for number in range(6)))
    train = ("train", "--images", url, "--labels", "mine.csv", "--out", "m.safetensors", "--arch", "lenet5")
    assert dfal(*train, "--epochs", 1, *CPU).code == 0
    assert dfal(*train, "--epochs", 1, *CPU, "--json").json["status"] == "up to date"
    larger = Path("images/000.png").read_bytes() + bytes(100)  # readers of PNG ignore what follows it
    s3.S3FileSystem().pipe_file(f"{url}/000.png", larger)
    refused = dfal(*train, "--epochs", 1, *CPU)
    assert refused.code == 2
    assert "labels" in told(refused)


def test_only_images_that_change_are_embedded_again(url: Url, s3: Any) -> None:
    assert embed(url).code == 0
    assert embed(url, "--json").json["status"] == "up to date"
    s3.S3FileSystem().pipe_file(f"{url}/000.png", Path("images/001.png").read_bytes())
    s3.S3FileSystem().pipe_file(f"{url}/new.png", Path("images/002.png").read_bytes())
    counts = embed(url, "--json").json["counts"]
    assert (counts["embedded"], counts["unchanged"]) == (2, 5)


def test_a_url_may_stand_in_a_configuration_file(url: Url) -> None:
    write(Path("dfal.yaml"), "select:", f"  images: {url}", "  strategy: random", "  count: 2", "  out: q.csv")
    assert dfal("select", "--config", "dfal.yaml").code == 0
    assert len(Path("q.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(("code", "name", "reason"), [(403, "AccessDenied", "AccessDenied"), (400, "Slow", "Slow")])
def test_a_store_that_fails_in_the_middle_ends_with_75_and_the_next_run_goes_on(
    url: Url, object_store: ObjectStore, code: int, name: str, reason: str
) -> None:
    with object_store.answering(refusing(code, name, after=4)):
        ended = embed(url, "--workers", 0)
    assert ended.code == 75
    assert f"{url}/" in told(ended)
    assert reason in told(ended)
    assert not Path("e.parquet").exists()
    assert embed(url, "--json").json["counts"]["images"] == 6


def test_a_store_that_does_not_answer_in_time_ends_with_75(
    house: Path, object_store: ObjectStore, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    url = object_store.filled(house / "images")
    s3.S3FileSystem.clear_instance_cache()
    impatient = {"config_kwargs": {"read_timeout": 0.2, "connect_timeout": 5}}
    monkeypatch.setitem(fsspec.config.conf, "s3", impatient)
    monkeypatch.setattr(s3.S3FileSystem, "retries", 1)
    began = time.monotonic()
    with object_store.answering(too_late(1.0)), pytest.raises(TryAgainError, match=rf"{url}: .*[Tt]imeout"):
        list_images(url)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "command",
    [
        ("select", "--strategy", "random", "--count", 2, "--out", "q.csv"),
        ("export", "--queries", "oracle.csv", "--to", "folder", "--out", "out"),
    ],
)
def test_a_bucket_that_does_not_exist_is_a_mistake_of_one_line(
    house: Path, object_store: ObjectStore, command: tuple[object, ...]
) -> None:
    ended = dfal(command[0], "--images", "s3://no-such-bucket/x", *command[1:])
    assert ended.code == 2
    assert "s3://no-such-bucket/x: The specified bucket does not exist (--images)" in told(ended)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nosuch://a/b", "Protocol not known: nosuch"),
        ("gs://a/b", "needs another package: pip install 'dfal-cli[cloud]'"),
        ("s3://Bad_Bucket!/x", "Invalid bucket name"),
    ],
)
def test_a_url_that_cannot_be_used_is_a_mistake_of_one_line(
    house: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    ended = dfal("select", "--images", url, "--strategy", "random", "--count", 2, "--out", "q.csv")
    assert ended.code == 2
    assert told(ended).startswith(f"dfal select: {url}: ")
    assert reason in told(ended)


def test_missing_credentials_are_a_mistake_of_one_line(url: Url, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ended = embed(url)
    assert ended.code == 2
    assert f"{url}: Unable to locate credentials (--images)" in told(ended)


def test_one_object_is_no_folder(url: Url) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        list_images(Url(f"{url}/000.png"))


def test_a_folder_without_images_is_bad_data(url: Url) -> None:
    ended = embed(f"{url}/nothing-here")
    assert ended.code == 3
    assert f"{url}/nothing-here: no images" in told(ended)


def test_the_store_in_memory_of_fsspec_is_read_as_well(house: Path, object_store: ObjectStore) -> None:
    import fsspec

    filesystem = fsspec.filesystem("memory")
    filesystem.put("images/", "/pool/", recursive=True)
    try:
        names = sorted(path.name for path in Path("images").iterdir())
        assert list_images(Url("memory://pool")).images == names
        assert content_hash(Url("memory://pool"), names[0]) == sha256_of(Path("images") / names[0])
        before = state_of_image(Url("memory://pool"), names[0])
        assert before == state_of_image(Url("memory://pool"), names[0])
    finally:
        filesystem.rm("/pool", recursive=True)


def test_images_of_a_folder_are_found_and_read_without_fsspec(house: Path) -> None:
    program = """
import sys
from pathlib import Path
from dfal_cli.images import list_images, probe_image, resolve_image

for image in list_images(Path("images")).images:
    probe_image(resolve_image(Path("images"), image))
print(image, "fsspec" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "005.png False\n"

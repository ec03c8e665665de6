"""Image formats as if Pillow or its optional packages were built differently."""

import contextlib
from collections.abc import Iterator

import pytest

from dfal_cli.images import formats


@contextlib.contextmanager
def available(monkeypatch: pytest.MonkeyPatch, *names: str) -> Iterator[None]:
    """Let only these formats be there in the block."""
    caches = (formats.readable_suffixes, formats.suffixes_not_read, formats._of_pillow)
    with monkeypatch.context() as patch:
        patch.setattr(formats.Format, "available", property(lambda self: self in map(formats.FORMATS.get, names)))
        for cache in caches:
            cache.cache_clear()
        yield
    for cache in caches:
        cache.cache_clear()

"""The images of a folder elsewhere: packed into tars."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path


def pack(folder: Path, tar: Path, images: Iterable[str] | None = None) -> Path:
    """Pack images of a folder, by default all of its files, into a tar."""
    names = images or sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tar, "w") as packed:
        for name in names:
            packed.add(folder / name, name)
    return tar


def add(packed: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    """Add a member of any name and type."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    packed.addfile(member, io.BytesIO(content))

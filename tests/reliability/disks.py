"""Small disks, small shares of large ones, and what fills them."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SIZE = 65_536


@contextlib.contextmanager
def mounted(folder: Path, size: int = SIZE) -> Iterator[Path]:
    """A small file system of its own at `folder`."""
    folder.mkdir(exist_ok=True)
    options = ("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def rationed(folder: Path, size: int = 2**20) -> Iterator[Path]:
    """A file system of its own at `folder`, with room enough, of which a quota leaves everybody, root too, `size`."""
    if not shutil.which("mkfs.btrfs"):
        pytest.skip("no btrfs-progs here: a real quota")
    folder.mkdir(exist_ok=True)
    image = folder.with_name(f"{folder.name}.btrfs")
    image.touch()
    os.truncate(image, 2**27)
    subprocess.run(["mkfs.btrfs", "--quiet", image], capture_output=True, check=True)
    if subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk with a quota")
    try:
        subprocess.run(["btrfs", "quota", "enable", folder], check=True)
        subprocess.run(["btrfs", "qgroup", "limit", str(size), folder], check=True)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> None:
    """Leave no room."""
    with (disk / "filling").open("wb", buffering=0) as handle, contextlib.suppress(OSError):
        while handle.write(bytes(4096)):
            pass

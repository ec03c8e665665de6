"""Finished parts of a long computation, kept beside its output, from which the next identical call goes on.

They lie in `.<name of the output>.parts/`, a checked file `<section>-<start>.part` each: an .npz of the
arrays and of a header (JSON) that tells what they are a part of. A section is work on positions 0, 1, 2,
done a batch at a time; a part covers some of them, from a batch's beginning to another's end. A part appears whole or
not at all, one that is damaged is as good as absent, and each stands for itself.
"""

import contextlib
import io
import itertools
import json
import shutil
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import DataError, Interrupted, TryAgainError, UsageError
from dfal_cli.system.device import BatchSizes, FittingBatches
from dfal_cli.system.files import remove_leftovers
from dfal_cli.system.fingerprints import canonical_json
from dfal_cli.system.state_files import read_checked, write_checked

Arrays = dict[str, npt.NDArray[Any]]
"""What has been found out in some batches, batch after batch along the first axis. No name may be HEADER."""

HEADER = "header"
SUFFIX = ".part"

SECONDS = 5.0
"""So much work is put into a part, and is what a kill costs; a call that takes less writes none."""
SHARE = 0.01
"""Of the time, so much may go into writing parts: where that is slow, they are larger ..."""
MOST_SECONDS = 60.0
"""... but not larger than that."""
MOST_BYTES = 2**26
"""Finished work takes no more memory than that before it is written."""


class Part(NamedTuple):
    """A part on the disk."""

    start: int
    end: int
    file: Path


class _Batch(NamedTuple):
    """A finished batch that is in no part yet."""

    start: int
    end: int
    found: Arrays


class Parts:
    """The parts of one call. As a context, it writes what is finished when the call is stopped before its time."""

    def __init__(self, out: Path, made_from: dict[str, Any]) -> None:
        """Look for parts of an earlier call for the output `out`; `made_from`, ready for JSON, says if it was this one.

        What is from another call stays until this one has something to put in its place.
        """
        out = out.resolve()
        self.folder = out.with_name(f".{out.name}.parts")
        self.others: list[dict[str, Any]] = []
        """What the parts of other calls were made from."""
        self.damaged = 0
        self.sizes: BatchSizes | None = None
        """Of the batches of which the parts are made; None if there are none."""
        self._batches: FittingBatches | None = None
        self._made_from = json.loads(canonical_json(made_from))
        self._sections: dict[str, Section] = {}
        self._foreign: list[Path] = []
        self._took = 0.0
        self._last = time.monotonic()
        self._waiting = 0
        if self.folder.is_dir():
            remove_leftovers(self.folder, lambda name: name.endswith(SUFFIX))
        for file in sorted(self.folder.glob(f"*{SUFFIX}")):
            self._look_at(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, UsageError | DataError):  # such a call leaves nothing that is new
            return
        with contextlib.suppress(OSError):  # why it ends is more important
            self.write()
            if isinstance(error, Interrupted) and self.folder.exists():
                error.add_note("before the end; the same command goes on from what is finished")
        with contextlib.suppress(OSError):  # it is not empty, or was never made
            self.folder.rmdir()

    def made_by(self, batches: FittingBatches) -> None:
        """Keep their sizes with the parts from here on."""
        self._batches = batches

    def section(self, name: str) -> "Section":
        """The section of that name; one without parts if there is none."""
        return self._sections.setdefault(name, Section(self, name))

    def remove(self) -> None:
        """Remove all of them, as the output stands."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def finished(self, batch: _Batch) -> None:
        """Write a part if it is time to."""
        self._waiting += sum(values.nbytes for values in batch.found.values())
        since = time.monotonic() - self._last
        worth = min(max(SECONDS, self._took / SHARE), MOST_SECONDS)
        if since >= worth or self._waiting >= MOST_BYTES:
            self.write()

    def write(self) -> None:
        """Write a part of whatever is finished, and remove those of other calls."""
        if not self._waiting:
            return
        began = time.monotonic()
        for file in self._foreign:
            file.unlink(missing_ok=True)
        self._foreign.clear()
        for section in self._sections.values():
            section.write()
        self._waiting = 0
        self._last = time.monotonic()
        self._took = self._last - began

    def write_part(self, section: str, start: int, end: int, found: Arrays) -> Part:
        """Write one part, whole and on the disk."""
        sizes = self._batches and self._batches.sizes
        told = {"made_from": self._made_from, "sizes": sizes, "section": section, "start": start, "end": end}
        content = io.BytesIO()
        np.savez(content, **found, **{HEADER: np.frombuffer(canonical_json(told).encode(), np.uint8)})  # type: ignore[arg-type]
        file = self.folder / f"{section}-{start:010d}{SUFFIX}"
        write_checked(file, content.getbuffer())
        return Part(start, end, file)

    def _look_at(self, file: Path) -> None:
        stored = _read(file)
        if stored is None:
            self.damaged += 1
            self._foreign.append(file)
            return
        told = json.loads(stored[HEADER].tobytes())
        if told["made_from"] != self._made_from:
            self.others.append(told["made_from"])
            self._foreign.append(file)
            return
        self.section(told["section"]).take_over(Part(told["start"], told["end"], file))
        if told["sizes"]:
            sizes = BatchSizes(*told["sizes"])
            self.sizes = min(self.sizes or sizes, sizes)  # where memory ran out they shrank


class Section:
    """Work on positions 0, 1, 2 ..., and what is finished of it."""

    def __init__(self, parts: Parts, name: str) -> None:
        self._parts = parts
        self._name = name
        self._kept: list[Part] = []  # by their positions, none of which is in two
        self._fresh: list[list[_Batch]] = []  # runs of batches without a gap

    @property
    def kept(self) -> int:
        """How many positions the parts cover."""
        return sum(part.end - part.start for part in self._kept)

    def stretch(self, start: int, end: int) -> tuple[int, Part | None]:
        """Up to where, `end` at most, the positions from `start` on are in one part, or in none; and that part."""
        place = bisect_right(self._kept, start, key=lambda part: part.start)
        if place and start < self._kept[place - 1].end:
            part = self._kept[place - 1]
            return min(end, part.end), part
        return min(end, self._kept[place].start) if place < len(self._kept) else end, None

    def add(self, start: int, end: int, found: Arrays) -> None:
        """Keep what a batch has found out."""
        batch = _Batch(start, end, found)
        if self._fresh and self._fresh[-1][-1].end == start:
            self._fresh[-1].append(batch)
        else:
            self._fresh.append([batch])
        self._parts.finished(batch)

    def blocks(self) -> Iterator[Arrays]:
        """All that has been found out, in the order of the positions.

        Raises TryAgainError if a part cannot be read any more.
        """
        pieces: list[Part | _Batch] = [*self._kept, *itertools.chain.from_iterable(self._fresh)]
        for piece in sorted(pieces, key=lambda piece: piece.start):
            yield read_part(piece) if isinstance(piece, Part) else piece.found

    def take_over(self, part: Part) -> None:
        """Know a part."""
        self._kept.append(part)
        self._kept.sort()

    def forget(self) -> None:
        """Do without the parts: they are not of this work after all."""
        for part in self._kept:
            part.file.unlink(missing_ok=True)
        self._kept.clear()

    def write(self) -> None:
        """Write a part of each run of finished batches."""
        for run in self._fresh:
            found = joined([batch.found for batch in run])
            self.take_over(self._parts.write_part(self._name, run[0].start, run[-1].end, found))
        self._fresh.clear()


def joined(blocks: Sequence[Arrays]) -> Arrays:
    """The arrays of one block after the other; a block without images may lack some."""
    names = dict.fromkeys(name for block in blocks for name in block)
    return {name: np.concatenate([block[name] for block in blocks if name in block]) for name in names}


def read_part(part: Part) -> Arrays:
    """Read a part that was whole before. Raises TryAgainError if it is no more."""
    stored = _read(part.file)
    if stored is None:
        raise TryAgainError(
            f"{part.file}: not there any more, or damaged; run the same command again: it is computed anew"
        )
    del stored[HEADER]
    return stored


def _read(file: Path) -> Arrays | None:
    """What is in a file; None if it is missing or damaged."""
    content = read_checked(file)
    if content is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)

"""Finished parts of a long computation, kept beside its output, from which an identical call resumes.

The folder `.<name of the output>.parts/` holds one file with a checksum per part, `<section>-<start>.part`: an .npz of
arrays and of a JSON header that says what they are part of. A section is work on positions 0, 1, 2 ..., done in
batches; a part covers consecutive finished batches. Parts are written atomically and are independent of each other, and
a damaged part counts as missing.
"""

import contextlib
import itertools
import json
import shutil
import time
from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from dfal_cli.errors import DataError, Interrupted, UsageError, plural
from dfal_cli.system.device import BatchSizes, FittingBatches
from dfal_cli.system.differences import differences, in_words
from dfal_cli.system.files import remove_leftovers
from dfal_cli.system.fingerprints import canonical_json
from dfal_cli.system.part_files import (
    SUFFIX,
    Arrays,
    Part,
    concatenated,
    read_header,
    read_part,
    write_part_file,
)
from dfal_cli.system.reporting import Reporter

SECONDS = 5.0
"""Minimum work per part, which a kill loses; a shorter call writes no part."""
SHARE = 0.01
"""Maximum share of the time spent on writing: on a slow disk, parts become larger ..."""
MOST_SECONDS = 60.0
"""... up to this much work."""
MOST_BYTES = 2**26
"""Maximum memory for finished work that is not written yet."""


class _Batch(NamedTuple):
    """A finished batch that is not written yet."""

    start: int
    end: int
    found: Arrays


class Parts:
    """The parts of one call. As a context manager, it writes finished work when the call is interrupted."""

    def __init__(self, out: Path, made_from: dict[str, Any]) -> None:
        """Load the list of parts that earlier calls for the output `out` have left.

        made_from: the inputs of this call, ready for JSON. Parts with other inputs are removed once this call writes
        its first part.
        """
        out = out.resolve()
        self.folder = out.with_name(f".{out.name}.parts")
        self.other_inputs: list[dict[str, Any]] = []
        """The inputs of parts that belong to other calls."""
        self.damaged = 0
        """Number of damaged parts."""
        self.batch_sizes: BatchSizes | None = None
        """Batch sizes of the parts; None without parts."""
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
            self._register(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, UsageError | DataError):  # a refused call would not be resumed
            return
        with contextlib.suppress(OSError):  # it must not hide the error that ends the call
            self.write()
            if isinstance(error, Interrupted) and self.folder.exists():
                error.add_note("before the end; run the same command again to resume from the finished part")
        with contextlib.suppress(OSError):  # the folder is not empty, or does not exist
            self.folder.rmdir()

    @property
    def sections(self) -> list["Section"]:
        """The sections that earlier calls have left, by name."""
        return [self._sections[name] for name in sorted(self._sections)]

    def fitting_batches(self, size: int | None, first_size: int, reporter: Reporter) -> FittingBatches:
        """Return batches of the given size, else of the unfinished call, else of `first_size`; track their sizes."""
        before = self.batch_sizes
        if before is not None and size in (None, before.read):
            batches = FittingBatches(before.read, reporter, before.computed)
        else:
            batches = FittingBatches(size or first_size, reporter)
        self.track_batch_sizes(batches)
        return batches

    def report_discarded(
        self, what: str, inputs: Mapping[str, Any], texts: Mapping[str, str], reporter: Reporter
    ) -> None:
        """Report why parts of other calls are not used, unless some of this call are, and damaged parts.

        texts: descriptions of changed inputs, as of `differences`.
        """
        if self.other_inputs and not any(section.finished for section in self._sections.values()):
            changes = (differences(other, inputs, texts) for other in self.other_inputs)
            change = in_words(dict.fromkeys(itertools.chain.from_iterable(changes)))
            reporter.note(f"starting over: the unfinished {what} in {self.folder} were made {change}")
        if self.damaged:
            files = plural(self.damaged, "file")
            reporter.note(f"{self.damaged} damaged {files} in {self.folder}: computing the contents again")

    def track_batch_sizes(self, batches: FittingBatches) -> None:
        """Store the sizes of these batches with each part from now on."""
        self._batches = batches

    def section(self, name: str) -> "Section":
        """Return the section of that name, which is empty if there are no parts of it."""
        return self._sections.setdefault(name, Section(self, name))

    def remove(self) -> None:
        """Remove all parts, once the output is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def batch_finished(self, batch: _Batch) -> None:
        """Write parts if enough finished work is waiting."""
        self._waiting += sum(values.nbytes for values in batch.found.values())
        since = time.monotonic() - self._last
        interval = min(max(SECONDS, self._took / SHARE), MOST_SECONDS)
        if since >= interval or self._waiting >= MOST_BYTES:
            self.write()

    def write(self) -> None:
        """Write all finished work, and remove the parts of other calls."""
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
        """Write one part atomically."""
        sizes = self._batches and self._batches.sizes
        header = {"made_from": self._made_from, "sizes": sizes, "section": section, "start": start, "end": end}
        file = self.folder / f"{section}-{start:010d}{SUFFIX}"
        write_part_file(file, header, found)
        return Part(start, end, file)

    def _register(self, file: Path) -> None:
        header = read_header(file)
        if header is None:
            self.damaged += 1
            self._foreign.append(file)
            return
        if header["made_from"] != self._made_from:
            self.other_inputs.append(header["made_from"])
            self._foreign.append(file)
            return
        self.section(header["section"]).add_part(Part(header["start"], header["end"], file))
        if header["sizes"]:
            sizes = BatchSizes(*header["sizes"])
            self.batch_sizes = min(self.batch_sizes or sizes, sizes)  # they shrink when memory runs out


class Section:
    """Work on positions 0, 1, 2 ...: its parts on disk, and the finished batches that are not written yet."""

    def __init__(self, parts: Parts, name: str) -> None:
        self.name = name
        self._parts = parts
        self._written: list[Part] = []  # sorted by position; they do not overlap
        self._unwritten: list[_Batch] = []  # in any order

    @property
    def finished(self) -> int:
        """Number of positions that the parts cover."""
        return sum(part.end - part.start for part in self._written)

    def next_range(self, start: int, end: int) -> tuple[int, Part | None]:
        """Return the part that covers `start`, if any, and up to where (at most `end`) that is so."""
        index = bisect_right(self._written, start, key=lambda part: part.start)
        if index and start < self._written[index - 1].end:
            part = self._written[index - 1]
            return min(end, part.end), part
        return min(end, self._written[index].start) if index < len(self._written) else end, None

    def add(self, start: int, end: int, found: Arrays) -> None:
        """Add the results of a batch; batches may be added in any order."""
        self._unwritten.append(_Batch(start, end, found))
        self._parts.batch_finished(self._unwritten[-1])

    def blocks(self) -> Iterator[Arrays]:
        """Yield all results in the order of the positions.

        Raises TryAgainError if a part cannot be read any more.
        """
        pieces: list[Part | _Batch] = [*self._written, *self._unwritten]
        for piece in sorted(pieces, key=lambda piece: piece.start):
            yield read_part(piece) if isinstance(piece, Part) else piece.found

    def add_part(self, part: Part) -> None:
        """Add a part that is on disk."""
        insort(self._written, part)

    def discard(self) -> None:
        """Remove the parts from disk, because they turned out to belong to other work."""
        for part in self._written:
            part.file.unlink(missing_ok=True)
        self._written.clear()

    def write(self) -> None:
        """Write one part per run of adjacent batches."""
        for run in _runs(self._unwritten):
            found = concatenated([batch.found for batch in run])
            self.add_part(self._parts.write_part(self.name, run[0].start, run[-1].end, found))
        self._unwritten.clear()


def _runs(batches: list[_Batch]) -> list[list[_Batch]]:
    """Return the runs of adjacent batches."""
    runs: list[list[_Batch]] = []
    for batch in sorted(batches, key=lambda batch: batch.start):
        if runs and runs[-1][-1].end == batch.start:
            runs[-1].append(batch)
        else:
            runs.append([batch])
    return runs

"""A stored file of which only what is needed is read, range by range.

Each range is a request to a remote place. So all ranges are determined before the first is read:
the footer gives the positions of the batches, and the message before a batch those of its columns.
Neighbouring ranges are read together, and all of them in parallel.

The footer is checked, as always. The digests cover all of the data, so for a part only the
structure is validated.
"""

import base64
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.containers._flatbuffer import MalformedError
from runstore.containers._footer import check_extensions, read_footer
from runstore.containers._guard import Guard
from runstore.containers._messages import Batch, Footer, message_at, parse_batch
from runstore.containers._read import ARROW_ERRORS, Stored, footer_of, unreadable
from runstore.containers._seeking import Seeking
from runstore.containers._write import FIRST_MESSAGE
from runstore.errors import CorruptObjectError

__all__ = ["open_part"]

Range = tuple[int, int]
"""Where something begins in the file, and where it ends."""

Read = Callable[[Sequence[Range]], Sequence[Buffer]]
"""Reads these ranges side by side, always of the same version."""

_NEAR = 64 << 10  # bytes between two ranges that cost less than another request


class _Ranges(Seeking):
    """A file that is read through a function, but for its end, which is there."""

    def __init__(self, read: Read, size: int, tail: Buffer) -> None:
        super().__init__(size)
        self._read = read
        self._starts: list[int] = []
        self._kept: list[memoryview] = []  # in the order of *starts*
        self._tail_at = size - flat(tail).nbytes
        self.keep(self._tail_at, tail)

    def keep(self, start: int, data: Buffer) -> None:
        """Take in what stands at *start*."""
        at = bisect_right(self._starts, start)
        self._starts.insert(at, start)
        self._kept.insert(at, flat(data))

    def fetch(self, ranges: Iterable[Range]) -> None:
        """Read these in parallel, and keep them."""
        wanted = list(ranges)
        if wanted:
            for (start, _), data in zip(wanted, self._read(wanted), strict=True):
                self.keep(start, data)

    def kept(self, start: int, size: int) -> memoryview | None:
        """Return so many bytes if they have been read in one range."""
        for at in range(bisect_right(self._starts, start) - 1, -1, -1):
            skipped = start - self._starts[at]
            if skipped + size <= self._kept[at].nbytes:
                return self._kept[at][skipped : skipped + size]
        return None

    def read(self, size: int | None = -1) -> Any:
        start, end = self._span(size)
        if end <= start:
            return b""
        found = self.kept(start, end - start)
        if found is not None:
            return found
        if end <= self._tail_at or start >= self._tail_at:
            return flat(self._read([(start, end)])[0])
        before = flat(self._read([(start, self._tail_at)])[0])
        return bytes(before) + bytes(self.kept(self._tail_at, end - self._tail_at) or b"")


def _joined(ranges: Iterable[Range], most: int) -> list[Range]:
    """Join ranges that are near each other, and then the nearest ones until there are *most*."""
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start - joined[-1][1] <= _NEAR:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    if len(joined) > most:
        gaps = np.array([joined[i + 1][0] - joined[i][1] for i in range(len(joined) - 1)])
        kept = np.sort(np.argsort(gaps, kind="stable")[len(joined) - most :])
        edges = pairwise([-1, *kept.tolist(), len(joined) - 1])
        joined = [(joined[before + 1][0], joined[last][1]) for before, last in edges]
    return joined


class _StoredPart(Stored):
    """An Arrow file that is not here."""

    def __init__(
        self, file: _Ranges, footer: Footer, batches: list[Batch], ref: str, header: Any, most: int
    ) -> None:
        super().__init__(b"", ref, header)
        self._file = file
        self._footer = footer
        self._batches = batches
        self._most = most

    def _source(self) -> Any:
        return pa.PythonFile(self._file, "r")

    def project(self, columns: Sequence[int]) -> Stored:
        """See `Stored.project`; the columns are read, and nothing else."""
        wanted = sorted(set(columns))
        ranges = []
        for (start, length, _), batch in zip(self._footer.batches, self._batches, strict=True):
            try:
                buffers = self.layout.buffers_of(batch, wanted)
            except MalformedError as exc:
                raise CorruptObjectError(f"{self.ref} is damaged: {exc}", self.ref) from exc
            filled = buffers[buffers[:, 1] > 0]
            begins = start + length + filled[:, 0]
            ends = begins + (filled[:, 1] + 7) // 8 * 8  # Arrow reads what fills them up, too
            ends = np.minimum(ends, start + length + batch.body)
            ranges += [
                (begin, end)
                for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
                if self._file.kept(begin, end - begin) is None
            ]
        self._file.fetch(_joined(ranges, self._most))
        return super().project(columns)


def open_part(
    read: Read,
    size: int,
    tail: Buffer,
    start: int,
    ref: str,
    guard: Guard | None = None,
    *,
    most: int = 8,
) -> Any:
    """Open an Arrow or Parquet file; its `project` reads the columns it is asked for.

    Returns:
        None if all of it has to be read: that would take no more, or *guard* trusts nobody, and
        what it takes in memory can only be told from the data.

    Args:
        read: Reads ranges of the file.
        size: Of the file, in bytes.
        tail: Its last bytes.
        start: Where in *tail* the footer begins.
        ref: What to call it in errors.
        guard: What else is accepted; anything if None.
        most: How many requests reading a part may take.

    Raises:
        CorruptObjectError: The footer is damaged.
        UnsafePickleError: *guard* does not accept its extension types.
        UnsupportedFormatError: It is of a newer format version.
    """
    footer = bytes(flat(tail)[start:])
    found = read_footer(footer, ref, guard)
    if guard is not None:
        check_extensions(footer, ref, guard)
    header = found[0] if found is not None else None
    file = _Ranges(read, size, tail)
    careful = guard is not None and not guard.trusted
    if not footer.endswith(b"PAR1"):
        return _open_arrow(file, footer, ref, header, careful=careful, most=most)
    if careful:
        return None
    import pyarrow.parquet as pq

    from runstore.containers._parquet_part import StoredParquetPart

    try:
        parquet = pq.ParquetFile(pa.PythonFile(file, "r"), pre_buffer=True)
    except ARROW_ERRORS as exc:
        raise unreadable(ref, None, exc) from exc
    return StoredParquetPart(parquet, header, ref, lambda ranges: file.fetch(_joined(ranges, most)))


def _open_arrow(
    file: _Ranges, footer: bytes, ref: str, header: Any, *, careful: bool, most: int
) -> _StoredPart | None:
    parsed = footer_of(footer, ref)
    _keep_first(file, parsed)
    ranges = [(start, start + length + body) for start, length, body in parsed.dictionaries]
    ranges += [
        (start, start + length)
        for start, length, _ in parsed.batches
        if file.kept(start, length) is None
    ]
    requests = _joined(ranges, max(1, most // 2))
    if sum(end - start for start, end in requests) > file.size() // 2:
        return None
    file.fetch(requests)
    batches = []
    try:
        for start, length, body in parsed.dictionaries + parsed.batches:
            data = file.kept(start, length)
            message = None if data is None else message_at(data, 0)
            batch = None if message is None else parse_batch(message)
            if batch is None or batch.body != body:
                raise MalformedError(f"there is no batch at {start}")
            if careful and (batch.compressed or batch.rows > file.size()):
                return None
            batches.append(batch)
    except MalformedError as exc:
        raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc
    left = max(1, most - len(requests))
    return _StoredPart(file, parsed, batches[len(parsed.dictionaries) :], ref, header, left)


def _keep_first(file: _Ranges, footer: Footer) -> None:
    """Take the message in front of the first batch out of the footer, if it is there."""
    told = footer.entries.get(FIRST_MESSAGE)
    if told is not None and footer.batches:
        start, length, _ = footer.batches[0]
        try:
            message = base64.b64decode(told.strip(), validate=True)
        except ValueError:
            return
        if len(message) == length:
            file.keep(start, message)

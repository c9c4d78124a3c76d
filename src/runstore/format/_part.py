"""A stored file of which only what is needed is read, range by range.

Arrow and Parquet readers ask for the footer, and then for the buffers of the
columns wanted and no others. The footer is checked, as always. The digests of the
data need all of it, so only its structure is validated.
"""

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.errors import CorruptObjectError
from runstore.format._flatbuffer import MalformedError
from runstore.format._footer import check_extensions, read_footer
from runstore.format._guard import Guard
from runstore.format._messages import message_at, parse_batch
from runstore.format._read import Stored, footer_of

__all__ = ["open_part"]

Read = Callable[[int, int], Buffer]
"""Gives so many bytes from a place of the file on, always of the same version."""


class _Ranges(io.RawIOBase):
    """A file that is read through a function, but for its footer, which is there."""

    def __init__(self, read: Read, size: int, footer: bytes) -> None:
        self._read = read
        self._size = size
        self._footer = footer
        self._at = 0
        self._known: dict[tuple[int, int], Buffer] = {}

    def known(self, start: int, length: int) -> Buffer:
        """Read a range that will be read again, and keep it."""
        data = self._read(start, length)
        self._known[start, length] = data
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> Any:
        start, footer_at = self._at, self._size - len(self._footer)
        end = self._size if size is None or size < 0 else min(self._size, start + size)
        self._at = max(start, end)
        if end <= start:
            return b""
        if start >= footer_at:
            return self._footer[start - footer_at : end - footer_at]
        if (start, end - start) in self._known:
            return flat(self._known[start, end - start])
        if end <= footer_at:
            return flat(self._read(start, end - start))
        return bytes(flat(self._read(start, footer_at - start))) + self._footer[: end - footer_at]


class _StoredPart(Stored):
    """An Arrow file that is not here."""

    def __init__(self, file: _Ranges, ref: str, header: Any) -> None:
        super().__init__(b"", ref, header)
        self._file = file

    def _source(self) -> Any:
        return pa.PythonFile(self._file, "r")


def open_part(read: Read, size: int, footer: bytes, ref: str, guard: Guard | None = None) -> Any:
    """Open an Arrow or Parquet file; its `project` reads the columns it is asked for.

    Returns:
        None if all of it has to be read: *guard* trusts nobody, and what it takes in memory
        can only be told from the data.

    Args:
        read: Gives a range of the file.
        size: Of the file, in bytes.
        footer: Its last bytes, from where the footer begins.
        ref: What to call it in errors.
        guard: What else is accepted; anything if None.

    Raises:
        CorruptObjectError: The footer is damaged.
        UnsafePickleError: *guard* does not accept its extension types.
        UnsupportedFormatError: It is of a newer format version.
    """
    found = read_footer(footer, ref, guard)
    if guard is not None:
        check_extensions(footer, ref, guard)
    header = found[0] if found is not None else None
    file = _Ranges(read, size, footer)
    careful = guard is not None and not guard.trusted
    if not footer.endswith(b"PAR1"):
        part = _StoredPart(file, ref, header)
        return None if careful and _is_compressed(file, footer, ref) else part
    if careful:
        return None
    import pyarrow.parquet as pq

    from runstore.format._parquet import StoredParquet

    parquet = pq.ParquetFile(pa.PythonFile(file, "r"), pre_buffer=True)
    return StoredParquet(b"", parquet, header, ref)


def _is_compressed(file: _Ranges, footer: bytes, ref: str) -> bool:
    """Return whether a batch is, or what else the messages in front of the batches do not tell."""
    parsed = footer_of(footer, ref)
    try:
        for start, length, _ in parsed.dictionaries + parsed.batches:
            message = message_at(flat(file.known(start, length)), 0)
            batch = None if message is None else parse_batch(message)
            if batch is None or batch.compressed or batch.rows > file.size():
                return True
    except MalformedError as exc:
        raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc
    return False

"""Some cells of one column of a batch, from the ranges of its buffers where they are."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from runstore.buffers import Buffer, flat
from runstore.containers._flatbuffer import MalformedError

__all__ = ["Cells", "Range", "ReadRanges", "TooLargeError", "is_reachable"]

Range = tuple[int, int]
ReadRanges = Callable[[Sequence[Range]], Sequence[Buffer]]

_APART = 64  # texts that are read each by itself, where they lie far from each other


class TooLargeError(Exception):
    """More bytes were needed than may be read."""


def is_reachable(kind: pa.DataType) -> bool:
    """Return whether cells of this type can be found in their buffers by their number."""
    if _offset_width(kind) or _is_view(kind) or kinds.is_boolean(kind):
        return True
    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        return is_reachable(kind.value_type)
    if kinds.is_struct(kind):
        return all(is_reachable(kind.field(i).type) for i in range(kind.num_fields))
    if kinds.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        return False
    primitive = kinds.is_primitive(kind) or kinds.is_decimal(kind)
    return bool(primitive or (kinds.is_fixed_size_binary(kind) and kind.byte_width > 0))


class Cells:
    """Reads cells of one column.

    Args:
        read: Reads ranges of the file, side by side.
        base: Where the data of the batch begins in the file.
        buffers: Of the column: where each begins in the data, and its size.
        views: How many buffers each column of views in it points to.
        most: How many bytes may be read.
    """

    def __init__(
        self,
        read: ReadRanges,
        base: int,
        buffers: list[list[int]],
        views: Iterator[int],
        most: int,
    ) -> None:
        self._read, self._base, self._views = read, base, views
        self._buffers = iter(buffers)
        self._left = most

    def take(self, kind: pa.DataType, at: int, count: int) -> pa.Array:
        """Return *count* cells from *at* on; the buffers of the column are used up by that.

        Raises:
            TooLargeError: They take more bytes than may be read.
            MalformedError: They lie outside their buffers.
        """
        valid = next(self._buffers, [0, 0])
        validity = self._bits(valid, at, count) if valid[1] else None
        if kinds.is_struct(kind):
            fields = [kind.field(i) for i in range(kind.num_fields)]
            children = [self.take(field.type, at, count) for field in fields]
            return pa.Array.from_buffers(kind, count, [validity], children=children)
        if kinds.is_fixed_size_list(kind):
            size = kind.list_size
            child = self.take(kind.value_type, at * size, count * size)
            return pa.Array.from_buffers(kind, count, [validity], children=[child])
        second = next(self._buffers, [0, 0])
        if kinds.is_list(kind) or kinds.is_large_list(kind):
            offsets = self._offsets(second, at, count, 4 if kinds.is_list(kind) else 8)
            begin, end = int(offsets[0]), int(offsets[-1])
            child = self.take(kind.value_type, begin, end - begin)
            moved = pa.py_buffer(offsets - begin)
            return pa.Array.from_buffers(kind, count, [validity, moved], children=[child])
        if width := _offset_width(kind):
            text = next(self._buffers, [0, 0])
            offsets = self._offsets(second, at, count, width)
            begin, end = int(offsets[0]), int(offsets[-1])
            data = self._bytes(text, begin, end)
            moved = pa.py_buffer(offsets - begin)
            return pa.Array.from_buffers(kind, count, [validity, moved, pa.py_buffer(data)])
        if _is_view(kind):
            return self._viewed(kind, validity, second, at, count)
        if kinds.is_boolean(kind):
            return pa.Array.from_buffers(kind, count, [validity, self._bits(second, at, count)])
        size = kind.bit_width // 8
        found = pa.py_buffer(self._bytes(second, at * size, (at + count) * size))
        return pa.Array.from_buffers(kind, count, [validity, found])

    def _viewed(
        self, kind: pa.DataType, validity: pa.Buffer | None, views: list[int], at: int, count: int
    ) -> pa.Array:
        data = [next(self._buffers, [0, 0]) for _ in range(next(self._views, 0))]
        raw = np.frombuffer(self._bytes(views, 16 * at, 16 * (at + count)), "<i4").reshape(-1, 4)
        there = np.ones(count, bool)
        if validity is not None:
            bits = np.frombuffer(memoryview(validity), np.uint8)
            there = np.unpackbits(bits, bitorder="little")[:count].astype(bool)
        far = there & (raw[:, 0] > 12)
        if (
            (raw[there, 0] < 0).any()
            or (len(data) <= raw[far, 2]).any()
            or (raw[far, 2:] < 0).any()
        ):
            raise MalformedError("text lies outside its buffers")
        texts = self._texts(raw[far], data)
        cells: list[bytes | None] = []
        inline = raw.tobytes()
        for i, (length, is_far) in enumerate(zip(raw[:, 0].tolist(), far.tolist(), strict=True)):
            if not there[i]:
                cells.append(None)
            else:
                cells.append(next(texts) if is_far else inline[16 * i + 4 : 16 * i + 4 + length])
        plain = pa.array(cells, pa.large_binary())
        return plain.cast(pa.large_string()) if kinds.is_string_view(kind) else plain

    def _texts(self, views: Any, data: list[list[int]]) -> Iterator[bytes]:
        """Return what views point to, in their order."""
        spans = [(int(b), int(o), int(o) + int(n)) for n, _, b, o in views]
        joined: dict[int, Range] = {}
        for which, begin, end in spans:
            first, last = joined.get(which, (begin, end))
            joined[which] = min(first, begin), max(last, end)
        together = sum(end - begin for begin, end in joined.values())
        alone = sum(end - begin for _, begin, end in spans)
        if together > max(self._left, 0) or (together > 8 * alone and len(spans) <= _APART):
            if len(spans) > _APART:
                raise TooLargeError
            wanted = [self._range(data[which], begin, end) for which, begin, end in spans]
            return iter([bytes(flat(one)) for one in self._fetch(wanted)])
        found = self._fetch([self._range(data[which], *span) for which, span in joined.items()])
        here = {
            which: (span[0], flat(one))
            for (which, span), one in zip(joined.items(), found, strict=True)
        }
        return (
            bytes(here[which][1][begin - here[which][0] : end - here[which][0]])
            for which, begin, end in spans
        )

    def _offsets(self, buffer: list[int], at: int, count: int, width: int) -> Any:
        if not count:
            return np.zeros(1, f"<i{width}")  # such a column may have no offsets at all
        data = self._bytes(buffer, at * width, (at + count + 1) * width)
        offsets = np.frombuffer(data, f"<i{width}")
        if offsets[0] < 0 or (np.diff(offsets) < 0).any():
            raise MalformedError("offsets of a column run backwards")
        return offsets

    def _bits(self, buffer: list[int], at: int, count: int) -> pa.Buffer:
        """Return bits that begin with that of cell *at*."""
        data = np.frombuffer(self._bytes(buffer, at // 8, (at + count + 7) // 8), np.uint8)
        bits = np.unpackbits(data, bitorder="little")[at % 8 :][:count]
        return pa.py_buffer(np.packbits(bits, bitorder="little"))

    def _bytes(self, buffer: list[int], begin: int, end: int) -> bytes:
        return bytes(flat(self._fetch([self._range(buffer, begin, end)])[0]))

    def _range(self, buffer: list[int], begin: int, end: int) -> Range:
        if not 0 <= begin <= end <= buffer[1]:
            raise MalformedError("a column is shorter than its number of rows")
        return self._base + buffer[0] + begin, self._base + buffer[0] + end

    def _fetch(self, ranges: list[Range]) -> Sequence[Buffer]:
        self._left -= sum(end - begin for begin, end in ranges)
        if self._left < 0:
            raise TooLargeError
        return self._read(ranges)


def _is_view(kind: pa.DataType) -> bool:
    return bool(kinds.is_string_view(kind) or kinds.is_binary_view(kind))


def _offset_width(kind: pa.DataType) -> int:
    """Return how many bytes an offset takes of a column of text or bytes; 0 of any other."""
    if kinds.is_string(kind) or kinds.is_binary(kind):
        return 4
    return 8 if kinds.is_large_string(kind) or kinds.is_large_binary(kind) else 0

"""Which buffers of an Arrow file hold numbers, and by which a reader finds its way.

Any bits are a number, so those buffers cannot lead a reader astray, and they are
nearly all of a large table. Everything else can: validity, offsets, views, the codes
of dictionaries, and text, which has to be UTF-8.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from runstore.buffers import READ_WHOLE
from runstore.containers._flatbuffer import MalformedError
from runstore.containers._messages import Batch
from runstore.schemas import BySchema

__all__ = ["ITEM", "Layout", "buffers_of", "layout_of"]

ITEM = 8
"""Bytes that an item takes in memory that takes none in the file."""

_VIEWS = -1  # stands for as many buffers as a message says that the views of a column point to


class Layout:
    """The parts and buffers of the batches of one schema, in the order of the file.

    Attributes:
        judged: Whether Arrow's full validation judges numbers of this schema, not structure
            alone. It reads all of them, and refuses values that can be stored: a decimal of
            more digits than its type has, a time beyond midnight.
        plain: Whether there is nothing but columns of numbers.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._at: list[tuple[int, int]] = []  # where each column's parts and buffers begin
        self._buffers: list[int] = []
        self._empty: list[int] = []  # parts whose items may take no room in buffers of their own
        self._parts = 0
        self.judged = False
        self.plain = True
        whole = columns_read_whole(schema)
        for index, kind in enumerate(schema.types):
            self._at.append((self._parts, len(self._buffers)))
            if index in whole:
                self._add(kind, whole=True)
            elif kind.id in _NUMBERS:
                self._buffers += (0, 1)
                self._parts += 1
            else:
                self._add(kind)
        self._views = _VIEWS in self._buffers

    def _add(self, kind: pa.DataType, *, whole: bool = False) -> None:
        self.plain = False
        for part, buffers in _walk(kind):
            if _is_empty(part):
                self._empty.append(self._parts)
            self._buffers += [min(one, 0) for one in buffers] if whole else buffers
            self._parts += 1
            self.judged = self.judged or _is_judged(part)

    def numbers(self, batch: Batch) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Return for each buffer of a batch whether it holds numbers alone.

        Raises:
            MalformedError: The batch is not of this schema.
        """
        if batch.dictionary:
            return np.zeros(len(batch.buffers), bool)
        variadic = iter(batch.variadic)
        kinds_of: list[int] = self._buffers
        if self._views:
            kinds_of = []
            for kind in self._buffers:
                kinds_of += [0] * next(variadic, 0) if kind == _VIEWS else [kind]
        if len(kinds_of) != len(batch.buffers) or self._parts != len(batch.nodes):
            raise MalformedError("a batch has other columns than the schema")
        return np.array(kinds_of, bool)

    def buffers_of(
        self, batch: Batch, columns: Iterable[int]
    ) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Return where the buffers of these columns lie in the data of a batch, and their sizes.

        Raises:
            MalformedError: The batch is not of this schema.
        """
        self.numbers(batch)  # there are as many as there have to be
        counts = np.ones(len(self._buffers), np.int64)
        counts[np.array(self._buffers, np.int64) == _VIEWS] = batch.variadic
        ends = np.concatenate(([0], np.cumsum(counts)))
        begins = [*(first for _, first in self._at), len(self._buffers)]
        found = [batch.buffers[ends[begins[i]] : ends[begins[i + 1]]] for i in columns]
        return np.concatenate(found) if found else batch.buffers[:0]

    def claimed(self, batch: Batch) -> int:
        """Return how many items a batch claims to have that need no data, as nulls do."""
        if batch.dictionary or self._parts != len(batch.nodes):
            return batch.rows
        return sum(int(batch.nodes[i, 0]) for i in self._empty) if self._parts else batch.rows


_layouts: BySchema[Layout] = BySchema(Layout)
layout_of = _layouts.of
"""Return the layout of a schema, made once."""


def buffers_of(schema: pa.Schema, batch: Batch) -> list[tuple[int, int]]:
    """Return for each column the first of its buffers in a batch, and the one behind its last.

    Raises:
        MalformedError: The batch is not of this schema.
    """
    variadic = iter(batch.variadic)
    spans, at = [], 0
    for kind in schema.types:
        first = at
        for _, buffers in _walk(kind):
            at += sum(next(variadic, 0) if one == _VIEWS else 1 for one in buffers)
        spans.append((first, at))
    if at != len(batch.buffers):
        raise MalformedError("a batch has other columns than the schema")
    return spans


def columns_read_whole(schema: pa.Schema) -> frozenset[int]:
    """Return the columns whose numbers count as what a reader finds its way by."""
    told = (schema.metadata or {}).get(READ_WHOLE, b"")
    return frozenset(int(one) for one in told.split(b",") if one.isdigit())


def _walk(kind: pa.DataType) -> Iterator[tuple[pa.DataType, list[int]]]:
    """Return each part of a type with its buffers, in the order of the file: 1 for numbers."""
    if isinstance(kind, pa.BaseExtensionType):
        yield from _walk(kind.storage_type)
        return
    if kinds.is_run_end_encoded(kind):
        yield kind, []
        yield kind.run_end_type, [0, 0]
        yield from _walk(kind.value_type)
        return
    yield kind, _buffers(kind)
    if kinds.is_nested(kind) and not kinds.is_dictionary(kind):
        for i in range(kind.num_fields):
            yield from _walk(kind.field(i).type)


def _buffers(kind: pa.DataType) -> list[int]:
    if kinds.is_null(kind):
        return []
    if kinds.is_dictionary(kind):
        return [0, 0]
    if kinds.is_union(kind):
        return [0] if kind.mode == "sparse" else [0, 0]
    if kinds.is_struct(kind) or kinds.is_fixed_size_list(kind):
        return [0]
    if kinds.is_string_view(kind) or kinds.is_binary_view(kind):
        return [0, 0, _VIEWS]
    if kinds.is_list_view(kind) or kinds.is_large_list_view(kind):
        return [0, 0, 0]
    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_map(kind):
        return [0, 0]
    if kinds.is_primitive(kind) or kinds.is_fixed_size_binary(kind) or kinds.is_decimal(kind):
        return [0, 1]
    return [0, 0, 0]


def _is_empty(kind: pa.DataType) -> bool:
    return bool(
        kinds.is_null(kind)
        or kinds.is_struct(kind)
        or kinds.is_fixed_size_list(kind)
        or kinds.is_run_end_encoded(kind)
        or (kinds.is_fixed_size_binary(kind) and kind.byte_width == 0)
    )


def _is_judged(kind: pa.DataType) -> bool:
    if kinds.is_dictionary(kind):
        return any(_is_judged(part) for part, _ in _walk(kind.value_type))
    return bool(kinds.is_decimal(kind) or kinds.is_time(kind) or kinds.is_date64(kind))


_NUMBERS = {
    kind.id
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.bool_(), pa.timestamp("s")),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.duration("s"), pa.date32()),
        *(pa.float16(), pa.float32(), pa.float64()),
    )
}

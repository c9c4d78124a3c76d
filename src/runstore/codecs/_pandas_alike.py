"""Frames of numbers that differ from one before in their numbers alone: described once.

What it takes to describe a frame depends on its labels, dtypes, index and flags. A stage puts
frames of the same kind again and again, and to describe a small one is nearly all of the time.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
import pandas as pd
import pyarrow as pa

from runstore.codecs._base import Alike, Encoded, Opened
from runstore.lifetime import Bounded

__all__ = ["built_again", "encoded_again", "keep_built", "keep_encoded", "key_of"]

_LARGEST = 64 << 10  # bytes; of larger frames the description is the smaller part
_KINDS = 256

_encoded: Bounded[Hashable, Alike] = Bounded(_KINDS)
_built: Bounded[Any, "_Frame"] = Bounded(_KINDS)


def key_of(value: Any) -> tuple[Hashable, list[Any]] | None:
    """Return all that describes a small frame of numbers, and its columns; None for others."""
    if type(value) is not pd.DataFrame or value.attrs:
        return None
    index, labels = value.index, value.columns
    if type(index) is not pd.RangeIndex or type(labels) is not pd.Index or not len(index):
        return None
    names = labels.tolist()
    if not names or len(names) * len(index) * 8 > _LARGEST or set(map(type, names)) != {str}:
        return None
    if type(index.name) not in _NAMES or type(labels.name) not in _NAMES:
        return None
    columns: Any = value._iter_column_arrays  # pandas' own way to them without a Series each
    arrays = list(columns())
    dtypes = tuple(map(_dtype, arrays))
    if None in dtypes:
        return None
    of_index = index.start, index.stop, index.step, type(index.name), index.name
    of_labels = labels.dtype, tuple(names), type(labels.name), labels.name
    flag = value.flags.allows_duplicate_labels
    return (of_index, of_labels, dtypes, flag), arrays


_NAMES = (str, int, type(None))


def _dtype(array: Any) -> str | None:
    """Return the letter of a plain dtype of numbers; None for all others."""
    if type(array) is not np.ndarray:
        return None
    dtype: Any = array.dtype
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        return None
    plain = dtype.isbuiltin == 1 and dtype.isnative and dtype.metadata is None
    return str(dtype.char) if plain else None


def encoded_again(key: Hashable, arrays: list[Any]) -> Encoded | None:
    """Return a frame as one of its kind was encoded; None if none was."""
    alike = _encoded.get(key)
    if alike is None or not alike.tried:
        return None
    data = [array.tobytes() for array in arrays]
    return Encoded(
        alike.schema,
        _Later(lambda: [_batch(alike.schema, arrays)]),
        alike.spec,
        rows=len(arrays[0]),
        columns=len(arrays),
        nbytes=sum(map(len, data)),
        version=alike.version,
        alike=alike,
        data=data,
    )


def keep_encoded(key: Hashable, encoded: Encoded) -> None:
    """Remember how a frame was encoded."""
    assert encoded.version is not None
    encoded.alike = Alike(encoded.schema, encoded.spec, encoded.version)
    _encoded.put(key, encoded.alike)


def _batch(schema: pa.Schema, arrays: list[Any]) -> pa.RecordBatch:
    columns = [
        pa.Array.from_buffers(kind, len(array), [None, pa.py_buffer(np.ascontiguousarray(array))])
        for kind, array in zip(schema.types, arrays, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _Later(Sequence[pa.RecordBatch]):
    """Batches that few files need."""

    def __init__(self, make: Callable[[], list[pa.RecordBatch]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> list[pa.RecordBatch]:
        return self._make()

    def __len__(self) -> int:
        return len(self._made)

    @overload
    def __getitem__(self, at: int) -> pa.RecordBatch: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[pa.RecordBatch]: ...
    def __getitem__(self, at: int | slice) -> pa.RecordBatch | Sequence[pa.RecordBatch]:
        return self._made[at]


class _Frame:
    """How a frame is built on the bytes of a file of one kind.

    Args:
        spec: What describes it.
        index, labels: Those of the first one; others get copies.
        blocks: Of each block of columns: its dtype, where it begins in the file, how many columns
            and rows it has, and how far its columns are apart.
        build: Makes a frame of blocks.
        duplicates: Whether labels may repeat.
    """

    def __init__(
        self,
        spec: dict[str, Any],
        index: Any,
        labels: Any,
        blocks: list[tuple[Any, int, int, int, int]],
        build: Callable[..., Any],
        duplicates: bool,
    ) -> None:
        self.spec = spec
        self._index = index.copy()  # the first one belongs to its reader, who may name it
        self._labels = labels.copy(deep=True)
        self._blocks = blocks
        self._build = build
        self._duplicates = duplicates

    def on(self, data: Any) -> Any:
        blocks, at = [], 0
        for dtype, start, columns, rows, step in self._blocks:
            if step == rows * dtype.itemsize:
                block = np.frombuffer(data, dtype, columns * rows, start).reshape(columns, rows)
            else:
                last = start + (columns - 1) * step + rows * dtype.itemsize
                bytes_ = np.frombuffer(data, np.uint8, last - start, start)
                block = np.lib.stride_tricks.as_strided(
                    bytes_.view()[: rows * dtype.itemsize].view(dtype),
                    (columns, rows),
                    (step, dtype.itemsize),
                )
            blocks.append((block, np.arange(at, at + columns, dtype=np.intp)))
            at += columns
        index, labels = self._index.copy(), self._labels.copy(deep=True)
        frame = self._build(blocks, index=index, columns=labels)
        return frame if self._duplicates else frame.set_flags(allows_duplicate_labels=False)


def built_again(opened: Opened, spec: dict[str, Any]) -> Any:
    """Return a frame as one of its kind was built; None if none was."""
    kind = opened.kind
    frame = None if kind is None else _built.get(kind)
    return frame.on(opened.data) if frame is not None and frame.spec == spec else None


def keep_built(
    opened: Opened, spec: dict[str, Any], value: Any, arrays: list[Any], build: Any
) -> None:
    """Remember how a frame was built on *arrays*, if it is one of numbers and nothing else."""
    kind = opened.kind
    plain = spec.keys() <= _PLAIN and not spec.get("attrs") and spec["index"]["k"] == "range"
    if kind is None or build is None or not plain or not arrays:
        return
    if not all(_dtype(array) for array in arrays) or not len(value):
        return
    base = np.frombuffer(memoryview(opened.data).cast("B"), np.uint8).ctypes.data
    size = memoryview(opened.data).nbytes
    blocks: list[tuple[Any, int, int, int, int]] = []
    for array in arrays:
        start = array.ctypes.data - base
        if not 0 <= start <= size - array.nbytes or not array.flags.c_contiguous:
            return  # it is a copy
        if blocks and blocks[-1][0] == array.dtype:
            dtype, first, columns, rows, step = blocks[-1]
            if columns == 1:
                step = start - first
            if start == first + columns * step and step >= array.nbytes:
                blocks[-1] = (dtype, first, columns + 1, rows, step)
                continue
        blocks.append((array.dtype, start, 1, len(array), array.nbytes))
    duplicates = bool(spec["duplicates"])
    _built.put(kind, _Frame(spec, value.index, value.columns, blocks, build, duplicates))


_PLAIN = {"index", "duplicates", "attrs", "labels", "columns", "kind"}

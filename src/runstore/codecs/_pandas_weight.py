"""What the columns of a stored frame take as Python's objects, before they are made."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from runstore.buffers import flat
from runstore.codecs._base import Opened
from runstore.codecs._packed_size import objects_of
from runstore.codecs._pickle import LIGHT, Pickling

__all__ = ["objects_of_batch", "weigh"]

Spec = dict[str, Any]

_CELL = 24  # bytes of a cell of objects in the lists and arrays that it goes through
_TEXT = 72  # of a text or number by itself
_LONG = 4  # of a character of a text that is not ASCII
_LIST = 176  # of a list or array by itself
_MISSING = 2  # of a row of which is told whether it is missing


def objects_of_batch(batch: pa.RecordBatch, kinds: list[Spec], size: int) -> int:
    """Return what the columns of a batch of so many bytes take as objects, as readers weigh it."""
    return _weight_of(batch.columns, kinds) if size > LIGHT else 0


def weigh(
    opened: Opened, table: pa.Table, kinds: list[Spec], pickling: Pickling, taken: int = 0
) -> None:
    """Note what the columns of a table are about to take as objects; see `Pickling.spend`.

    Args:
        opened, table, kinds: The object, its columns, and how they are kept.
        pickling: Of the object.
        taken: Bytes that the columns take, if they were decoded.
    """
    stored = flat(opened.data).nbytes
    if pickling.has_to_weigh(stored + taken):
        pickling.spend(taken + _weight_of(table.columns, kinds), stored)


def _weight_of(columns: Sequence[Any], told: list[Spec]) -> int:
    """Return a bound of the bytes that columns take besides their own memory.

    Args:
        columns: Arrays or chunked ones, of a frame or series, and behind them those of its index.
        told: How each is kept; those of an index are not in it.
    """
    specs = [*told, *[None] * (len(columns) - len(told))]
    return sum(
        _of_chunk(chunk, spec)
        for column, spec in zip(columns, specs, strict=True)
        for chunk in (column.chunks if isinstance(column, pa.ChunkedArray) else (column,))
    )


def _of_chunk(chunk: pa.Array, spec: Spec | None) -> int:
    kind: Any = None if spec is None else spec.get("k")
    if kind == "arrow" or (kind == "str" and spec is not None and spec["storage"] == "pyarrow"):
        return 0
    if kind == "pickle":
        return 0  # is loaded by whoever trusts it
    if kind in ("labels", "arrow labels"):
        return _MISSING * len(chunk)  # become codes
    if kind == "cells" and spec is not None and spec["of"] == "packed":
        return _packed(chunk, spec)
    return _of_array(chunk)


def _packed(chunk: pa.Array, spec: Spec) -> int:
    if len(spec["missing"]) > 1 and kinds.is_struct(chunk.type):
        chunk = chunk.field(0)
    return _CELL * len(chunk) + objects_of(chunk, spec["items"])


def _of_array(array: Any) -> int:
    kind, rows = array.type, len(array)
    if kinds.is_dictionary(kind):
        return _MISSING * rows + _of_array(array.dictionary)
    if kinds.is_struct(kind):
        parts = (array.field(at) for at in range(kind.num_fields))
        return _CELL * rows + sum(map(_of_array, parts))
    if kinds.is_large_list(kind) or kinds.is_list(kind):
        return (_CELL + _LIST) * rows + _of_items(array.values)
    if _is_text(kind) or kinds.is_date(kind) or kinds.is_decimal(kind) or kinds.is_time(kind):
        return _CELL * rows + _of_items(array)
    return _MISSING * rows


def _of_items(array: Any) -> int:
    return _TEXT * len(array) + (_LONG * int(array.nbytes) if _is_text(array.type) else 0)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        kinds.is_large_string(kind)
        or kinds.is_string(kind)
        or kinds.is_large_binary(kind)
        or kinds.is_binary(kind)
    )

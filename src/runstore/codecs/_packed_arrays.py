"""Many small NumPy arrays of one dtype as one Arrow column, and back as views of it."""

import math
import operator
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.codecs._base import Opened
from runstore.codecs._numpy import check_items, check_possible, is_judged
from runstore.codecs._numpy_dtypes import dtype_of, has_gaps
from runstore.codecs._packed_scalars import UnpackableError, one_dtype, raw_column, view_of
from runstore.codecs._types import check_type, is_number
from runstore.errors import CorruptObjectError

__all__ = ["arrays_back", "encode_arrays", "list_column", "offsets_of"]

Array = np.ndarray[Any, Any]
Spec = dict[str, Any]

_LARGEST = 1 << 14  # bytes that an array has on average; larger ones are not copied together


def encode_arrays(arrays: list[Array]) -> tuple[pa.Array, Spec]:
    """Return *arrays* one behind the other in a column of lists, and what `arrays_back` needs.

    Raises:
        UnpackableError: They are not of one dtype in C order, or they are large.
    """
    dtype, descr = _dtype_of(arrays)
    size = sum(map(operator.attrgetter("nbytes"), arrays))
    if size > _LARGEST * len(arrays):
        raise UnpackableError
    if not all(map(operator.attrgetter("flags.c_contiguous"), arrays)):
        raise UnpackableError
    shapes = list(map(operator.attrgetter("shape"), arrays))
    flat, width = np.concatenate(arrays, axis=None, dtype=dtype, casting="no"), _width(dtype)
    check_possible(flat)
    kind = pa.from_numpy_dtype(dtype) if dtype.kind in "iuf" and width == 1 else pa.uint8()
    items = raw_column(kind, flat.view("u1") if kind == pa.uint8() and flat.size else flat)
    spec: Spec = {"k": "array", "dtype": descr}
    shape, same = shapes[0], len(set(shapes)) == 1
    count = math.prod(shape)
    if same and count:
        spec["shape"] = list(shape)
        return pa.FixedSizeListArray.from_arrays(items, count * width), spec
    dimensions = set(map(len, shapes))
    if len(dimensions) > 1:
        raise UnpackableError
    spec["ndim"] = len(shape)
    counts = np.fromiter(map(operator.attrgetter("size"), arrays), "i8", len(arrays))
    column = list_column(items, counts * width)
    if len(shape) == 1:
        return column, spec
    table = np.array(shapes, "i8").reshape(len(shapes), -1)
    if _are_bulky(table):
        raise UnpackableError
    sides = pa.array(table.reshape(-1), pa.int64())
    return pa.StructArray.from_arrays(
        [pa.FixedSizeListArray.from_arrays(sides, max(len(shape), 1)), column], ["shape", "items"]
    ), spec


def _dtype_of(arrays: list[Array]) -> tuple[np.dtype[Any], Any]:
    dtype, descr = one_dtype(arrays)
    if dtype.kind == "T" or has_gaps(dtype):  # text of any length is elsewhere
        raise UnpackableError
    return dtype, descr


def _width(dtype: np.dtype[Any]) -> int:
    """Return of how many items of Arrow one is made: bytes, for types that Arrow lacks."""
    plain = dtype.isbuiltin == 1 and dtype.isnative and dtype.kind in "iuf" and dtype.itemsize <= 8
    return 1 if plain or dtype.itemsize == 1 else dtype.itemsize


def arrays_back(opened: Opened, column: pa.Array, spec: Spec) -> list[Array]:
    """Rebuild what `encode_arrays` was given, on the memory of *opened*.

    Raises:
        CorruptObjectError: Column and spec do not fit each other.
    """
    dtype = dtype_of(spec["dtype"])
    width = _width(dtype)
    if "shape" in spec:
        check_type(opened, column.type, pa.types.is_fixed_size_list)
        shape, size = tuple(spec["shape"]), column.type.list_size
        if size < 1 or min(shape, default=1) < 0 or math.prod(shape) * width != size:
            raise _unfit(opened)
        items = column.values.slice(column.offset * size, len(column) * size)
        rows = _flat(opened, items, dtype).reshape(len(column), *(shape or (1,)))
        arrays: list[Array] = list(rows)
        return arrays if shape else list(map(np.ndarray.reshape, arrays, repeat(())))
    shapes = None
    if spec["ndim"] != 1:
        check_type(opened, column.type, pa.types.is_struct)
        sides, column = column.flatten()
        shapes = _shapes(opened, sides, int(spec["ndim"]))
    offsets, items = offsets_of(opened, column)
    if (offsets % width).any():
        raise _unfit(opened)
    offsets = offsets // width
    bounds = offsets.tolist()
    flat = _flat(opened, items, dtype)
    arrays = list(map(flat.__getitem__, map(slice, bounds[:-1], bounds[1:])))
    if shapes is None:
        return arrays
    counts = np.prod(shapes, axis=1, dtype="f8")  # which does not overflow
    if (shapes < 0).any() or (counts != np.diff(offsets)).any() or _are_bulky(shapes):
        raise _unfit(opened)
    return list(map(np.ndarray.reshape, arrays, map(tuple, shapes.tolist())))


_SIDE = 1 << 16  # the longest side of an array without items


def _are_bulky(shapes: Array) -> bool:
    """Return whether an array without items would be large as a list: (2**50, 0) has 2**50 rows."""
    empty = shapes[(shapes == 0).any(axis=1)]
    return bool(empty.max(initial=0) > _SIDE)


def _flat(opened: Opened, items: pa.Array, dtype: np.dtype[Any]) -> Array:
    check_type(opened, items.type, is_number)
    if items.type.bit_width * _width(dtype) != 8 * dtype.itemsize or items.null_count:
        raise _unfit(opened)
    start = items.offset // _width(dtype)
    count = start + len(items) // _width(dtype)
    flat = opened.array(items.buffers()[1], dtype, count)[start:]
    if is_judged(dtype):
        check_items(flat, opened.ref)
    return flat


def _shapes(opened: Opened, sides: pa.Array, dimensions: int) -> Array:
    check_type(opened, sides.type, pa.types.is_fixed_size_list)
    if sides.type != pa.list_(pa.int64(), dimensions) or dimensions < 1:
        raise _unfit(opened)
    values = sides.values.slice(sides.offset * dimensions, len(sides) * dimensions)
    return view_of(opened, values, "i8").reshape(-1, dimensions)


def _unfit(opened: Opened) -> CorruptObjectError:
    return CorruptObjectError(f"{opened.ref} is damaged: shapes and data differ", opened.ref)


# Lists of any length ------------------------------------------------------------------------------


def list_column(items: pa.Array, counts: Array) -> pa.Array:
    """Return *items* as a column of lists, so many in each."""
    narrow = len(items) < 1 << 31
    offsets = np.zeros(len(counts) + 1, "i4" if narrow else "i8")
    np.cumsum(counts, out=offsets[1:])
    make = pa.ListArray if narrow else pa.LargeListArray
    return make.from_arrays(pa.array(offsets), items)


def offsets_of(opened: Opened, column: pa.Array) -> tuple[Array, pa.Array]:
    """Return where the lists of a column begin and end, and the items between them."""
    check_type(opened, column.type, _is_list)
    offsets = column.offsets.to_numpy()
    first, last = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    return offsets - first, column.values.slice(first, last - first)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))

"""Geometries from well-known binary, which is looked at before GEOS reads it.

GEOS calls itself once for each level of a collection, so one that is nested some ten thousand
times ends the process, and takes less than a megabyte.
"""

import struct
from typing import Any

import numpy as np
import shapely

from runstore.errors import CorruptObjectError

__all__ = ["from_wkb"]

_DEEPEST = 500  # levels of collections
_LEAST = 9  # bytes of a level: byte order, type, how many parts
_POINT, _LINES, _POLYGON, _MULTIPOINT = 1, (2, 8), 3, 4  # 8: circular arcs
_OF_PARTS = (4, 5, 6, 7, 9, 10, 11, 12)  # all others that GEOS reads, also those of curves
_Z, _M, _SRID = 1 << 31, 1 << 30, 1 << 29  # flags of a type
_ORDERS = {0: ">", 1: "<"}  # of any other byte GEOS keeps the order that it had


def from_wkb(cells: Any, ref: str) -> Any:
    """Return the geometries of an array of ``bytes`` and None.

    Raises:
        CorruptObjectError: They are something else, or nested more than 500 levels deep.
    """
    cells = np.asarray(cells, object)
    for cell in cells.flat:
        if cell is not None and type(cell) is not bytes:
            raise CorruptObjectError(f"{ref} is damaged: a geometry is no bytes", ref)
        if cell is not None and (cell[:1] not in _FIRST or len(cell) > _DEEPEST * _LEAST):
            _check(cell, ref)
    try:
        return shapely.from_wkb(cells)
    except (shapely.errors.GEOSException, TypeError) as exc:
        raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc


_FIRST = (b"\0", b"\1")  # shapely takes other bytes for hexadecimal digits


def _check(data: bytes, ref: str) -> None:
    """Go through the headers as GEOS does, and refuse what it would not read."""
    at, open_parts = 0, [1]  # parts that are still to come, of each level
    try:
        while open_parts:
            if not open_parts[-1]:
                open_parts.pop()
                continue
            open_parts[-1] -= 1
            if len(open_parts) > _DEEPEST:
                raise _damaged(f"is nested more than {_DEEPEST} levels deep", ref)
            order, kind, sides, at = _header(data, at, ref)
            if kind == _POINT:
                at += 8 * sides
                continue
            (count,) = struct.unpack_from(f"{order}I", data, at)
            at += 4
            if kind in _LINES:
                at += 8 * sides * count
            elif kind == _POLYGON:
                for _ in range(count):
                    (points,) = struct.unpack_from(f"{order}I", data, at)
                    at += 4 + 8 * sides * points
            elif kind == _MULTIPOINT and (length := _same_points(data, at, count, ref)):
                at += length
            else:
                open_parts.append(count)
    except (struct.error, IndexError):
        raise _damaged("is cut off", ref) from None


def _header(data: bytes, at: int, ref: str) -> tuple[str, int, int, int]:
    """Return byte order, kind, numbers of a place, and where what comes after it begins."""
    order = _ORDERS.get(data[at])
    if order is None:
        raise _damaged("has no byte order", ref)
    (code,) = struct.unpack_from(f"{order}I", data, at + 1)
    thousands, kind = divmod(code & ~(_Z | _M | _SRID), 1000)
    if thousands > 3 or kind not in (_POINT, _POLYGON, *_LINES, *_OF_PARTS):
        raise _damaged(f"is of an unknown type, {code:#x}", ref)
    sides = 2 + bool(code & _Z or thousands in (1, 3)) + bool(code & _M or thousands in (2, 3))
    return order, kind, sides, at + 5 + (4 if code & _SRID else 0)


def _same_points(data: bytes, at: int, count: int, ref: str) -> int:
    """Return the length of points with one header, of which there may be millions; or 0."""
    if not count:
        return 0
    _, kind, sides, begin = _header(data, at, ref)
    each = begin - at + 8 * sides
    if kind != _POINT or at + count * each > len(data):
        return 0
    heads = np.frombuffer(data, np.uint8, count * each, at).reshape(count, each)[:, :5]
    return count * each if bool((heads == heads[0]).all()) else 0


def _damaged(what: str, ref: str) -> CorruptObjectError:
    return CorruptObjectError(f"{ref} is damaged: a geometry {what}", ref)

"""Which rows of two columns differ: nulls are equal to nulls, NaN to NaN."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from runstore.arguments import printable

__all__ = ["differing", "example", "plain"]

_LONGEST = 80  # characters of a value that is shown


def differing(one: pa.Array, other: pa.Array) -> pa.Array | None:
    """Return for each row whether two columns of as many rows differ there; None if none does.

    Raises:
        TypeError: Columns of these two types cannot be compared.
    """
    one, other = plain(one), plain(other)
    if one.type != other.type:
        try:
            one = one.cast(other.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            try:
                other = other.cast(one.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
                raise TypeError(f"{one.type} and {other.type} cannot be compared") from exc
    elif one.equals(other):
        return None
    mask = _mask(one, other)
    return mask if pc.any(mask).as_py() else None


def plain(column: pa.Array) -> pa.Array:
    """Return a column without the types that Arrow has no comparison for, where it has others."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = _decoded(column)
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    if pa.types.is_binary_view(column.type):
        column = column.cast(pa.large_binary())
    return column


def _decoded(column: pa.DictionaryArray) -> pa.Array:
    """Return the values of a column with a dictionary; Arrow takes none out of views."""
    return plain(column.dictionary).take(column.indices)


def _mask(one: pa.Array, other: pa.Array) -> pa.Array:
    if pa.types.is_nested(one.type):
        return _by_item(one, other)
    try:
        differ = pc.not_equal(one, other)
    except pa.ArrowNotImplementedError:
        return _by_item(one, other)
    # Where one of them is null, the comparison is null: they differ unless both are.
    differ = pc.coalesce(differ, pc.xor(one.is_null(), other.is_null()))
    if pa.types.is_floating(one.type):
        both = pc.and_(pc.is_nan(one), pc.is_nan(other))
        differ = pc.and_(differ, pc.invert(pc.fill_null(both, False)))
    return differ


def _by_item(one: pa.Array, other: pa.Array) -> pa.Array:
    pairs = zip(one, other, strict=True)  # scalars of Arrow: a slice of them is in memory
    return pa.array([not _same(a.as_py(), b.as_py()) for a, b in pairs], pa.bool_())


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other or (one != one and other != other))


def example(column: pa.Array, row: int) -> str:
    """Return the value of a row as a short text."""
    text = repr(column[row].as_py())
    return printable(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")

"""``.csv``: a pandas frame as text, if reading the text gives that frame."""

import io
from typing import Any

import numpy as np
import pandas as pd

from runstore.buffers import Buffer, flat
from runstore.codecs._base import type_name
from runstore.codecs._pickle import Pickling
from runstore.codecs._reasons import shown
from runstore.errors import CorruptObjectError, UnsupportedValueError

__all__ = ["CsvFile"]


class CsvFile:
    """A ``pandas.DataFrame``; of others' files, too, a CSV has no room for its type.

    The text is read back and compared before anything is stored. Integers, floats,
    bools and text come through where pandas takes them for what they are.
    """

    def encode(self, value: Any, ref: str, pickling: Pickling) -> list[Buffer]:
        """See `runstore.codecs.FileCodec.encode`."""
        if type(value) is not pd.DataFrame:
            raise UnsupportedValueError(
                f"cannot store {ref}: a .csv comes back as a pandas.DataFrame, not as a "
                f"{type_name(type(value))}. {_WAY_OUT}",
                ref,
            )
        index = value.index
        if type(index) is not pd.RangeIndex or (index.start, index.step) != (0, 1):
            raise _inexact(ref, "its index: reset_index() makes a column of it")
        if index.name is not None:
            raise _inexact(ref, "the name of its index")
        if not value.columns.size or {type(label) for label in value.columns} != {str}:
            raise _inexact(ref, "its column labels, which must be text")
        if value.attrs:
            raise _inexact(ref, f"its attrs ({', '.join(map(shown, value.attrs))})")
        if not value.flags.allows_duplicate_labels:
            raise _inexact(ref, "its flag allows_duplicate_labels=False")
        for label, column in value.items():
            kinds = set(map(type, column)) if column.dtype == object else set()
            if not kinds <= _CELLS:
                names = sorted(type_name(kind) for kind in kinds - _CELLS)
                raise _inexact(ref, f"column {label!r}: its Python objects ({', '.join(names)})")
        try:
            data = value.to_csv(index=False, lineterminator="\n").encode()
            back = _read(data)
        except (ValueError, TypeError) as exc:
            raise _inexact(ref, f"it ({exc})") from exc
        _compare(value, back, ref)
        return [data]

    def decode(self, data: Buffer, ref: str, pickling: Pickling) -> Any:
        """See `runstore.codecs.FileCodec.decode`."""
        try:
            return _read(bytes(flat(data)))
        except ValueError as exc:
            raise CorruptObjectError(f"{ref} is not CSV: {exc}", ref) from exc


_CELLS = {str, float, int, bool, type(None)}  # others are not even written: it might never end

# Before pandas 3.1 the usual conversion of floats is off by one bit now and then; since then
# it is exact, and asking for it is deprecated.
_FLOATS: dict[str, Any] = (
    {"float_precision": "round_trip"}
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    else {}
)


def _read(data: bytes) -> Any:
    # In one piece (low_memory): else a long column may be a mixture of types.
    return pd.read_csv(io.BytesIO(data), low_memory=False, index_col=False, **_FLOATS)


def _compare(value: Any, back: Any, ref: str) -> None:
    if type(back.columns) is not type(value.columns) or not back.columns.equals(value.columns):
        raise _inexact(ref, "its column labels: empty or repeated ones are renamed")
    if back.columns.dtype != value.columns.dtype or back.columns.name != value.columns.name:
        raise _inexact(ref, "the type or name of its column labels")
    if len(back) != len(value):
        raise _inexact(ref, "its empty rows")
    for label in value.columns:
        one, other = value[label], back[label]
        if one.dtype != other.dtype or str(one.dtype) != str(other.dtype):
            raise _inexact(ref, f"column {label!r}: {one.dtype} would become {other.dtype}")
        if not _same(one, other):
            raise _inexact(ref, f"column {label!r}: some of its values would become others")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one.dtype, np.dtype) and one.dtype != object:
        return bool(one.to_numpy().tobytes() == other.to_numpy().tobytes())
    return all(
        a is b or (type(a) is type(b) and (a == b or (a != a and b != b)))
        for a, b in zip(one.tolist(), other.tolist(), strict=True)
    )


_WAY_OUT = "Use .parquet, or store it under a name without .csv, which keeps it exactly"


def _inexact(ref: str, what: str) -> UnsupportedValueError:
    return UnsupportedValueError(
        f"cannot store {ref}: a .csv does not keep {what}. {_WAY_OUT}", ref
    )

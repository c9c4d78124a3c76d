"""Large containers of items of one type: Arrow columns, made and read without a step per item.

A list, tuple, set or frozenset is one column with a row for each item, a dict two, of its keys
and values. Small ones, and those of several types, are left to JSON and the nested codec.
"""

from typing import Any

import pyarrow as pa

from runstore.codecs._arrow import survives
from runstore.codecs._base import Encoded, Opened
from runstore.codecs._packed_items import Packer, SharedError, UnpackableError, unpacked
from runstore.codecs._pickle import Pickling
from runstore.codecs._python import FROM_JSON
from runstore.errors import CorruptObjectError

__all__ = ["PackedCodec", "packed", "unpacked_container"]

FROM = 256
"""Items that a container has at least."""

_JSON = frozenset((bool, float, int, str, type(None)))
_MAKERS: dict[str, Any] = {
    "frozenset": frozenset,
    "list": list,
    "set": set,
    "tuple": tuple,
}


class PackedCodec:
    """``list``, ``tuple``, ``set``, ``frozenset`` and ``dict`` of many items of one type.

    Numbers, text, bytes, times, decimals, NumPy scalars and small arrays; tuples, lists and
    dicts of the same keys of these; None among them.
    """

    name = "packed"
    version = 1

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        try:
            return packed(value, Packer())
        except SharedError:
            return None

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        opened.check_all()  # all of it is read
        return unpacked_container(opened, spec)


def unpacked_container(opened: Opened, spec: dict[str, Any]) -> Any:
    """Rebuild what `packed` was given, on the memory of *opened*.

    Raises:
        CorruptObjectError: Columns and spec do not fit each other.
        UnsupportedValueError: A time zone is not known here.
    """
    batch = opened.batch(0)
    specs = spec["columns"]
    if batch.num_columns != len(specs) or len(specs) != (2 if spec["type"] == "dict" else 1):
        raise CorruptObjectError(f"{opened.ref} is damaged: columns are missing", opened.ref)
    columns = [
        unpacked(opened, column, how) for column, how in zip(batch.columns, specs, strict=True)
    ]
    if spec["type"] == "dict":
        return dict(zip(*columns, strict=True))
    items = columns[0]
    return items if spec["type"] == "list" else _MAKERS[spec["type"]](items)


def packed(value: Any, packer: Packer) -> Encoded | None:
    """Return a container as columns; None if it is small, or not of items of one type.

    Raises:
        SharedError: An array is in it twice, or was packed before.
    """
    kind = type(value)
    if len(value) < FROM or (kind is not dict and kind.__name__ not in _MAKERS):
        return None
    parts = (
        {"key": list(value), "value": list(value.values())}
        if kind is dict
        else {"item": list(value)}
    )
    if len(value) < FROM_JSON and kind in (list, dict) and _is_like_json(*parts.values()):
        return None
    try:
        columns = packer.columns(list(parts.values()))
        batch = pa.RecordBatch.from_arrays([column for column, _ in columns], names=list(parts))
    except (UnpackableError, pa.ArrowInvalid):
        return None
    if not survives(batch.schema):
        return None
    return Encoded(
        batch.schema,
        [batch],
        {"type": kind.__name__, "columns": [spec for _, spec in columns]},
        nbytes=batch.nbytes,
    )


def _is_like_json(items: list[Any], values: list[Any] | None = None) -> bool:
    if values is not None:
        return set(map(type, items)) == {str} and _is_like_json(values)
    return _JSON.issuperset(map(type, items))

"""Large containers of items of one type: Arrow columns, made and read without a step per item.

A list, tuple, set or frozenset is one column with a row for each item, a dict two, of its keys
and values. Small ones, and those of several types, are left to JSON and the nested codec.
"""

from collections.abc import Collection
from functools import partial
from itertools import starmap
from typing import Any

import pyarrow as pa

from runstore.buffers import flat
from runstore.codecs._arrow import survives
from runstore.codecs._base import Encoded, Opened, type_name
from runstore.codecs._packed_items import FRAMES, Packer, SharedError, UnpackableError, unpacked
from runstore.codecs._packed_numbers import numbers_of_dict
from runstore.codecs._packed_scalars import number_column
from runstore.codecs._packed_size import objects_of
from runstore.codecs._packed_split import SPLIT, numbers_back, row_of, split_numbers, unwrapped
from runstore.codecs._pickle import Pickling
from runstore.codecs._python import FROM, FROM_JSON
from runstore.errors import CorruptObjectError

__all__ = ["PackedCodec", "packed", "size_in_memory", "unpacked_container"]

Spec = dict[str, Any]

_ENTRY = 64  # bytes of a place in a dict or set
_FREE = 24 << 20  # bytes that a file of any size may take
_DENSEST = 64  # bytes as objects of a stored one
_FROM_FRAMES = 16  # each takes more than many numbers

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
    version = 2  # since then small and large integers apart

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        try:
            return packed(value, Packer(), careful=pickling.is_careful)
        except SharedError:
            return None

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        opened.check_all()  # all of it is read
        pickling.spend(size_in_memory(opened, spec), flat(opened.data).nbytes)
        return unpacked_container(opened, spec)


def unpacked_container(opened: Opened, spec: dict[str, Any]) -> Any:
    """Rebuild what `packed` was given, on the memory of *opened*.

    Raises:
        CorruptObjectError: Columns and spec do not fit each other.
        UnsupportedValueError: A time zone is not known here.
    """
    batch, specs = opened.batch(0), spec["columns"]
    split = any(how["k"] == SPLIT for how in specs)
    parts = unwrapped(opened, batch) if split else batch.columns
    expected = sum(3 if how["k"] == SPLIT else 1 for how in specs)
    if len(parts) != expected or len(specs) != (2 if spec["type"] == "dict" else 1):
        raise CorruptObjectError(f"{opened.ref} is damaged: columns are missing", opened.ref)
    columns = []
    for how in specs:
        if how["k"] == SPLIT:
            rest = partial(unpacked, opened, spec=how["of"])
            columns.append(numbers_back(opened, parts[:3], rest))
            parts = parts[3:]
        else:
            columns.append(unpacked(opened, parts[0], how))
            parts = parts[1:]
    if len(columns) == 2 and len(columns[0]) != len(columns[1]):
        raise CorruptObjectError(f"{opened.ref} is damaged: items are missing", opened.ref)
    if spec["type"] == "dict":
        return dict(zip(*columns, strict=True))
    items = columns[0]
    return items if spec["type"] == "list" else _MAKERS[spec["type"]](items)


def size_in_memory(opened: Opened, spec: dict[str, Any]) -> int:
    """Return what a packed container will take as objects; before they are made."""
    batch = opened.batch(0)
    columns: list[pa.Array] = batch.columns
    if not any(how["k"] == SPLIT for how in spec["columns"]):
        pairs = zip(columns, spec["columns"], strict=False)
        found = sum(objects_of(column, how) for column, how in pairs)
    else:
        columns = unwrapped(opened, batch)
        found = sum(objects_of(one, {"k": "int"}) for one in columns)
    entry = 0 if spec["type"] in ("list", "tuple") else _ENTRY
    return found + entry * max(map(len, columns), default=0)


def packed(value: Any, packer: Packer, *, careful: bool = False) -> Encoded | None:
    """Return a container as columns; None if it is small, or not of items of one type.

    Args:
        value: The container.
        packer: Of the value that it is in.
        careful: Whether to leave it to JSON if its objects take far more memory than its columns,
            since careful readers would refuse them.

    Raises:
        SharedError: An array is in it twice, or was packed before.
    """
    kind = type(value)
    if len(value) < _least(value) or (kind is not dict and kind.__name__ not in _MAKERS):
        return None
    parts: dict[str, Collection[Any]] = (
        {"key": value.keys(), "value": value.values()}
        if kind is dict
        else {"set" if kind in (set, frozenset) else "list": value}
    )
    if len(value) < FROM_JSON and kind in (list, dict) and _is_like_json(*parts.values()):
        return None
    try:
        numbers = numbers_of_dict(value) if kind is dict else None
        columns = packer.columns(parts) if numbers is None else list(map(number_column, numbers))
        names = ["key", "value"] if kind is dict else ["item"]
        batch = pa.RecordBatch.from_arrays([column for column, _ in columns], names=names)
    except (UnpackableError, pa.ArrowInvalid):
        return None
    if not survives(batch.schema):
        return None
    specs, split = [spec for _, spec in columns], list(starmap(split_numbers, columns))
    objects = sum(starmap(objects_of, columns))
    if kind not in (list, tuple):
        objects += _ENTRY * len(value)
    if any(split):
        batch, specs = _split(names, columns, split)
    if careful and objects > max(_FREE, _DENSEST * batch.nbytes):
        return None
    return Encoded(
        batch.schema,
        [batch],
        {"type": kind.__name__, "columns": specs},
        nbytes=batch.nbytes,
        version=2 if any(split) else 1,
        objects=objects,
    )


def _least(value: Any) -> int:
    """Return how many items a container has at least that is columns."""
    if len(value) < FROM and type(value) in (dict, list, tuple):
        items = value.values() if type(value) is dict else value
        if type_name(type(next(iter(items), None))) in FRAMES:
            return _FROM_FRAMES
    return FROM


def _split(
    names: list[str], columns: list[tuple[pa.Array, Spec]], split: list[Any]
) -> tuple[pa.RecordBatch, list[Spec]]:
    """Return columns of which some were split, as one row of lists."""
    parts, of, specs = [], [], []
    for name, whole, three in zip(names, columns, split, strict=True):
        if three is None:
            parts.append(whole[0])
            of.append(name)
        else:
            parts += three[0]
            of += [f"{name}.small", f"{name}.is_large", f"{name}.large"]
        specs.append((three or whole)[1])
    return row_of(parts, of), specs


def _is_like_json(items: Collection[Any], values: Collection[Any] | None = None) -> bool:
    if values is not None:
        return set(map(type, items)) == {str} and _is_like_json(values)
    return _JSON.issuperset(map(type, items))

"""Arrow types nested in each other at random, and arrays of them: sliced, with nulls, in views."""

import datetime as dt
import decimal
import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

__all__ = ["any_type", "array_of"]

_LEAVES: dict[Any, Any] = {
    pa.int8(): 7,
    pa.int64(): 2**40,
    pa.uint64(): 2**63,
    pa.float64(): 0.5,
    pa.bool_(): True,
    pa.string(): "text é",
    pa.large_string(): "more text than twelve bytes",
    pa.string_view(): "a view of more than twelve bytes",
    pa.binary(): b"\xff",
    pa.binary_view(): b"a view of more than twelve bytes",
    pa.binary(4): b"four",
    pa.binary(16): b"sixteen of bytes",
    pa.date32(): dt.date(2024, 1, 1),
    pa.date64(): dt.date(2024, 1, 1),
    pa.timestamp("us", "UTC"): 5,
    pa.time64("us"): 7,
    pa.duration("s"): 7,
    pa.decimal128(10, 2): decimal.Decimal("1.50"),
    pa.decimal256(40, 3): decimal.Decimal("1.500"),
    pa.month_day_nano_interval(): (1, 2, 3),
    pa.null(): None,
}


def _fields(of: Callable[[], Any], count: int) -> list[Any]:
    return [pa.field(f"f{i}", of()) for i in range(count)]


def any_type(chance: random.Random, depth: int = 3) -> Any:
    """Return a type that is nested at most so deep."""
    if depth == 0 or chance.random() < 0.2:
        return chance.choice([*_LEAVES, pa.bool8(), pa.uuid()])

    def of() -> Any:
        return any_type(chance, depth - 1)

    makers: list[Callable[[], Any]] = [
        lambda: pa.list_(of()),
        lambda: pa.large_list(of()),
        lambda: pa.list_(of(), chance.choice([1, 2])),
        lambda: pa.list_view(of()),
        lambda: pa.large_list_view(of()),
        lambda: pa.struct(_fields(of, chance.choice([0, 1, 2]))),
        lambda: pa.map_(pa.int32(), of()),
        lambda: pa.dictionary(chance.choice([pa.int8(), pa.uint16(), pa.int64()]), of()),
        lambda: pa.run_end_encoded(chance.choice([pa.int16(), pa.int32(), pa.int64()]), of()),
        lambda: pa.dense_union(_fields(of, 2)),
        lambda: pa.sparse_union(_fields(of, 2)),
        lambda: _extension(of()),
    ]
    return chance.choice(makers)()


def _extension(storage: Any) -> Any:
    """Return an extension type; Arrow ends the process at one of another."""
    inner = isinstance(storage, pa.BaseExtensionType)
    return storage if inner else pa.opaque(storage, "kind", "vendor")


def array_of(kind: Any, count: int, chance: random.Random) -> Any:
    """Return an array of that type, often a slice of a longer one."""
    skipped, more = chance.choice([0, 0, 1, 2]), chance.choice([0, 1])
    return _whole(kind, skipped + count + more, chance).slice(skipped, count)


def _whole(kind: Any, count: int, chance: random.Random) -> Any:
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, array_of(kind.storage_type, count, chance))
    if kinds.is_dictionary(kind):
        codes = [chance.choice([None, 0, 1, 2]) for _ in range(count)]
        labels = array_of(kind.value_type, 3, chance)
        return pa.DictionaryArray.from_arrays(pa.array(codes, kind.index_type), labels, safe=False)
    if kinds.is_run_end_encoded(kind):
        ends = sorted({count, *(chance.randrange(1, count + 1) for _ in range(min(2, count)))})
        ends = ends if count else []
        values = array_of(kind.value_type, len(ends), chance)
        return pa.RunEndEncodedArray.from_arrays(pa.array(ends, kind.run_end_type), values)
    if kinds.is_union(kind):
        return _union(kind, count, chance)
    if not kinds.is_nested(kind):
        some = [None if chance.random() < 0.2 else _LEAVES[kind] for _ in range(count)]
        return pa.array(some, kind)
    if kinds.is_struct(kind):
        parts = [array_of(kind.field(i).type, count, chance) for i in range(kind.num_fields)]
        if not parts:
            return pa.array([{}] * count, kind)
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=_mask(count, chance))
    return _lists(kind, count, chance)


def _mask(count: int, chance: random.Random) -> Any:
    return pa.array([chance.random() < 0.2 for _ in range(count)], pa.bool_()) if count else None


def _union(kind: Any, count: int, chance: random.Random) -> Any:
    codes = [chance.randrange(kind.num_fields) for _ in range(count)]
    types = [kind.field(i) for i in range(kind.num_fields)]
    names = [field.name for field in types]
    if kind.mode == "sparse":
        parts = [array_of(field.type, count, chance) for field in types]
        return pa.UnionArray.from_sparse(pa.array(codes, pa.int8()), parts, names)
    offsets = pa.array([codes[:i].count(code) for i, code in enumerate(codes)], pa.int32())
    parts = [array_of(field.type, codes.count(i), chance) for i, field in enumerate(types)]
    return pa.UnionArray.from_dense(pa.array(codes, pa.int8()), offsets, parts, names)


def _lists(kind: Any, count: int, chance: random.Random) -> Any:
    if kinds.is_fixed_size_list(kind):
        items = array_of(kind.value_type, count * kind.list_size, chance)
        return pa.FixedSizeListArray.from_arrays(items, kind.list_size)
    if kinds.is_list_view(kind) or kinds.is_large_list_view(kind):
        wide = kinds.is_large_list_view(kind)
        place = pa.int64() if wide else pa.int32()
        starts = pa.array([chance.randrange(3) for _ in range(count)], place)
        sizes = pa.array([chance.randrange(2) for _ in range(count)], place)
        make = pa.LargeListViewArray if wide else pa.ListViewArray
        return make.from_arrays(starts, sizes, array_of(kind.value_type, 4, chance))
    ends = [0, *sorted(chance.randrange(5) for _ in range(count))]
    if kinds.is_map(kind):
        keys = pa.array(range(ends[-1]), pa.int32())
        items = array_of(kind.item_type, ends[-1], chance)
        return pa.MapArray.from_arrays(pa.array(ends, pa.int32()), keys, items)
    wide = kinds.is_large_list(kind)
    places, make = pa.array(ends, pa.int64() if wide else pa.int32()), pa.ListArray
    if wide:
        make = pa.LargeListArray
    items = array_of(kind.value_type, ends[-1], chance)
    return make.from_arrays(places, items, mask=_mask(count, chance))

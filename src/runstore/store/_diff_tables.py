"""Two stored tables side by side: columns, rows, and which values differ, a piece at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from runstore.errors import InvalidRequestError, UnsupportedValueError
from runstore.keys import Place, extension_of, key_of
from runstore.objects import ObjectInfo
from runstore.steps import reporting
from runstore.store._batches import batches
from runstore.store._diff_categories import Categories
from runstore.store._diff_values import differing, example
from runstore.store._differences import ColumnDiff, TableDiff
from runstore.store._objects import Objects

__all__ = ["compared"]


_Name = tuple[str, int]  # of a column, and its number among those of that name


@dataclass
class _Column:
    one: int
    other: int
    differing: int | None = 0
    first: tuple[int, str, str] | None = None


def compared(objects: Objects, one: ObjectInfo, other: ObjectInfo) -> tuple[TableDiff, bool]:
    """Compare two tables; a few pieces of each are in memory.

    Returns:
        What differs, and whether categories or the metadata of the schemas do.

    Raises:
        InvalidRequestError: One is no table.
        UnsupportedValueError: One has a column that Arrow has no type for.
        RunStoreError: As for `iter_batches`.
    """
    sides = _Side(objects, one), _Side(objects, other)
    names = [_named(side.schema) for side in sides]
    both = {name: _Column(at, names[1][name]) for name, at in names[0].items() if name in names[1]}
    rows, differ = [0, 0], 0
    most = max((info.rows or 0 for info in (one, other)), default=0) or None
    with reporting(f"comparing {one.place} and {other.place}", most, "rows") as report:
        for left, right in _aligned(sides[0].tables(), sides[1].tables(), rows):
            masks = [
                mask
                for column in both.values()
                if (mask := _compared(column, left, right, rows[0])) is not None
            ]
            if masks:
                while len(masks) > 1:
                    masks.append(pc.or_(masks.pop(), masks.pop()))
                differ += pc.sum(masks[0]).as_py() or 0
            rows[0] += left.num_rows
            rows[1] += right.num_rows
            report.at(max(rows))
    order = [[name for name in side if name in both] for side in names]
    columns = tuple(_told([side.schema for side in sides], names, both))
    beside = sides[0].categories != sides[1].categories or sides[0].metadata != sides[1].metadata
    return TableDiff(columns, order[0] == order[1], (rows[0], rows[1]), differ), beside


class _Side:
    """One of the two tables, as it is read.

    Attributes:
        schema: Its columns.
        categories: Those of the pieces that were read so far.
        metadata: What its schema has beside names and types; nothing where it is no Arrow table,
            as it then follows from what is compared otherwise, and from versions of libraries.
    """

    def __init__(self, objects: Objects, info: ObjectInfo) -> None:
        self._rest = _tables(objects, info.place)
        self._first = next(self._rest, None)
        if self._first is None:
            self._first = _without_rows(objects, info.place)
        self.schema = self._first.schema
        self.categories = Categories()
        of_arrow = (info.python_type or "").startswith("pyarrow.")
        self.metadata = _metadata(self.schema) if of_arrow else None

    def tables(self) -> Iterator[pa.Table]:
        """Yield the pieces; their categories are noted."""
        held, self._first = self._first, None
        while held is not None:
            self.categories.add(held)
            yield held
            held = next(self._rest, None)


def _metadata(schema: pa.Schema) -> list[Any]:
    return [schema.metadata or {}, *(_of_field(schema.field(i)) for i in range(len(schema)))]


def _of_field(field: pa.Field) -> list[Any]:
    kind = field.type
    inner = [kind.field(i) for i in range(kind.num_fields)]
    return [field.metadata or {}, *map(_of_field, inner)]


def _tables(objects: Objects, place: Place) -> Iterator[pa.Table]:
    if extension_of(place.name) == "csv":
        yield pa.Table.from_pandas(objects.get(place), preserve_index=False)
        return
    yield from batches(objects, place, "auto", None, None, None, pa.Table)


def _without_rows(objects: Objects, place: Place) -> pa.Table:
    """Return a table that has no batches, with its columns and their categories."""
    try:
        return objects.get(place, pickle="deny", as_type=pa.Table)
    except (InvalidRequestError, UnsupportedValueError):
        found = objects.read_schema(key_of(place), place)
        return (pa.schema([]) if found is None else found).empty_table()


def _named(schema: pa.Schema) -> dict[_Name, int]:
    """Return where each column is; of the same name there may be several."""
    found: dict[_Name, int] = {}
    for at, name in enumerate(schema.names):
        number = 0
        while (name, number) in found:
            number += 1
        found[name, number] = at
    return found


def _aligned(
    one: Iterator[pa.Table], other: Iterator[pa.Table], rows: list[int]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield as many rows of both at a time; what only one has is counted in *rows*."""
    left = right = None
    while True:
        left, right = _filled(left, one), _filled(right, other)
        if left is None or right is None:
            break
        count = min(left.num_rows, right.num_rows)
        yield left.slice(0, count), right.slice(0, count)
        left, right = left.slice(count), right.slice(count)
    for side, (held, rest) in enumerate(((left, one), (right, other))):
        while held is not None:
            rows[side] += held.num_rows
            held = next(rest, None)


def _filled(held: pa.Table | None, rest: Iterator[pa.Table]) -> pa.Table | None:
    while held is None or not held.num_rows:
        held = next(rest, None)
        if held is None:
            return None
    return held


def _compared(column: _Column, left: pa.Table, right: pa.Table, start: int) -> pa.Array | None:
    """Compare one column of some rows; return where it differs, None if nowhere."""
    if column.differing is None:
        return None
    one, other = _whole(left, column.one), _whole(right, column.other)
    try:
        mask = differing(one, other)
    except TypeError:
        column.differing = None
        return None
    if mask is None:
        return None
    column.differing += pc.sum(mask).as_py()
    if column.first is None:
        row = pc.index(mask, True).as_py()
        column.first = start + row, example(one, row), example(other, row)
    return mask


def _whole(table: pa.Table, at: int) -> pa.Array:
    column = table.column(at)
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _told(
    schemas: list[pa.Schema], names: list[dict[_Name, int]], both: dict[_Name, _Column]
) -> Iterator[ColumnDiff]:
    for name, at in names[0].items():
        kind = _kind(schemas[0].field(at))
        column = both.get(name)
        if column is None:
            yield ColumnDiff(name[0], kind, None, None, None)
            continue
        other = _kind(schemas[1].field(column.other))
        if kind != other or column.differing != 0:
            yield ColumnDiff(name[0], kind, other, column.differing, column.first)
    for name, at in names[1].items():
        if name not in both:
            yield ColumnDiff(name[0], None, _kind(schemas[1].field(at)), None, None)


def _kind(field: pa.Field) -> str:
    return str(field.type) if field.nullable else f"{field.type} not null"

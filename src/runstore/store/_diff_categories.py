"""The categories of a table's columns: the values of its dictionaries, in their order."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from runstore.store._diff_values import differing, plain

__all__ = ["Categories"]

_Path = tuple[int, ...]  # a column, and the children on the way to the dictionary


class Categories:
    """The categories of a table that is read in pieces; two are equal if values and order are.

    Pieces may have other dictionaries. What counts is the order in which categories come first.
    """

    def __init__(self) -> None:
        self._known: dict[_Path, pa.Array] = {}

    def add(self, table: pa.Table) -> None:
        """Note the categories of a piece."""
        for at, column in enumerate(table.columns):
            for chunk in column.chunks:
                for path, found in _dictionaries(chunk, (at,)):
                    self._note(path, plain(found))

    def _note(self, path: _Path, found: pa.Array) -> None:
        known = self._known.get(path)
        if known is None:
            self._known[path] = found
        elif not _same(known, found):
            self._known[path] = pa.concat_arrays([known, _new(known, found)])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Categories):
            return NotImplemented
        one, two = self._known, other._known
        return one.keys() == two.keys() and all(_same(one[path], two[path]) for path in one)

    __hash__ = None  # type: ignore[assignment]  # it grows


def _same(one: pa.Array, other: pa.Array) -> bool:
    return len(one) == len(other) and one.type == other.type and differing(one, other) is None


def _new(known: pa.Array, found: pa.Array) -> pa.Array:
    try:
        return found.filter(pc.invert(pc.is_in(found, value_set=known)))
    except pa.ArrowNotImplementedError:  # Arrow looks up no value of nested types
        values = known.to_pylist()
        return found.filter(pa.array([value not in values for value in found.to_pylist()]))


def _dictionaries(column: pa.Array, path: _Path) -> Iterator[tuple[_Path, pa.Array]]:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        yield from _dictionaries(column.storage, path)
    elif pa.types.is_dictionary(kind):
        yield path, column.dictionary
    elif pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _dictionaries(column.field(i), (*path, i))
    elif pa.types.is_map(kind):
        yield from _dictionaries(column.keys, (*path, 0))
        yield from _dictionaries(column.items, (*path, 1))
    elif isinstance(column, (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray)):
        yield from _dictionaries(column.values, (*path, 0))

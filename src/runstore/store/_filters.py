"""Filters of rows: as an expression of pyarrow, or in the lists of pandas' `read_parquet`.

What they mean is what Arrow says: a comparison with a missing value is neither true nor false,
and such a row is not selected. ``in`` and ``not in`` look a value up, and so a missing one, too.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import reduce
from operator import and_, eq, ge, gt, le, lt, ne, or_
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from runstore.arguments import shown, unfit
from runstore.containers import Range, guarantee, schema_entries
from runstore.errors import InvalidRequestError
from runstore.store._filters_numbers import compared_number, is_comparable, numbers_in

__all__ = ["Filter", "selected_rows"]

_MEANT = "a pyarrow.compute.Expression, or a list as [('x', '>', 1)] or [[('x', '>', 1)], ...]"
_OPERATORS = ("=", "==", "!=", "<", ">", "<=", ">=", "in", "not in")
_MOST_SHOWN = 8  # values of a list, in messages
_UNBOUND = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowKeyError)


class Filter:
    """A filter, before it is known what table it is for.

    Args:
        call: The verb, for messages.
        filters: What the caller gave; not None.

    Raises:
        InvalidRequestError: It is no filter.
    """

    def __init__(self, call: str, filters: Any) -> None:
        self._lists: list[list[tuple[Any, str, Any]]] = []
        self._expression: pc.Expression | None = None
        if isinstance(filters, pc.Expression):
            self._expression = filters
        else:
            self._lists = _lists(call, filters)

    def bound(self, schema: pa.Schema, name_of: Callable[[Any], str], ref: str) -> "BoundFilter":
        """Return the filter for a table.

        Args:
            schema: The stored columns.
            name_of: Gives the stored name of a column's label; raises KeyError.
            ref: What to call the object in errors.

        Raises:
            InvalidRequestError: There is no such column, or it cannot be compared so.
        """
        if self._expression is not None:
            return BoundFilter(self._expression, schema, ref)
        bound: list[list[Condition]] = [
            [Condition(one, self._compared(schema, name_of, one, ref)) for one in ands]
            for ands in self._lists
        ]
        whole = _any_of(_all_of(one.expression for one in ands) for ands in bound)
        return BoundFilter(whole, schema, ref, [one for ands in bound for one in ands])

    def _compared(
        self,
        schema: pa.Schema,
        name_of: Callable[[Any], str],
        condition: tuple[Any, str, Any],
        ref: str,
    ) -> pc.Expression:
        label, operator, value = condition
        try:
            return _compared(schema, name_of(label), operator, value)
        except (ValueError, TypeError, OverflowError, pa.ArrowException) as exc:
            reason = str(exc)
            if reason.startswith(f"{ref} "):  # an error of ours, which names the object, too
                reason = f"it {reason.removeprefix(f'{ref} ')}"
            raise InvalidRequestError(
                f"{ref} cannot be filtered so: {_told(condition)}: {reason}", ref
            ) from exc


class Condition(NamedTuple):
    """One condition of a filter that was given as a list.

    Attributes:
        given: A column's label, an operator and a value.
        expression: What it is to Arrow.
    """

    given: tuple[Any, str, Any]
    expression: pc.Expression


def _told(condition: tuple[Any, str, Any]) -> str:
    label, operator, value = condition
    if operator in ("in", "not in"):
        some = [shown(one) for one in value[:_MOST_SHOWN]]
        text = f"[{', '.join([*some, '…'] if len(value) > _MOST_SHOWN else some)}]"
    else:
        text = shown(value)
    return f"({shown(label)}, {operator!r}, {text})"


def _all_of(expressions: Iterable[pc.Expression]) -> pc.Expression:
    return reduce(and_, expressions)


def _any_of(expressions: Iterable[pc.Expression]) -> pc.Expression:
    return reduce(or_, expressions)


def _compared(schema: pa.Schema, name: str, operator: str, value: Any) -> pc.Expression:
    """Return one condition, as `pyarrow.parquet.filters_to_expression` does.

    Other than there a list may be empty, and a number may be one that the column cannot hold.

    Raises:
        ValueError: A number is none that the column can be compared with.
    """
    column, at = pc.field(name), schema.get_field_index(name)
    kind = _comparable_type(schema.field(at).type) if at >= 0 else pa.null()
    if operator in ("in", "not in"):
        if all(one is None or is_comparable(one, kind) for one in value):
            value = numbers_in(value, kind)
        if not len(value):
            return pc.scalar(operator == "not in")
        found = column.isin(value)
        return ~found if operator == "not in" else found
    if is_comparable(value, kind):
        return compared_number(column, kind, operator, value)
    return _COMPARE[operator](column, _number(value, kind, name))


def _number(value: Any, kind: pa.DataType, name: str) -> Any:
    """Return a value as Arrow compares it: as it is, unless it is an int of more than 64 bits."""
    if type(value) is not int or -1 << 63 <= value < 1 << 63:
        return value
    if kinds.is_decimal(kind):
        return Decimal(value)
    raise ValueError(f"the number has more bits than a number of the column {name!r} ({kind})")


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": eq,
    "==": eq,
    "!=": ne,
    "<": lt,
    ">": gt,
    "<=": le,
    ">=": ge,
}


class BoundFilter:
    """A filter of one table.

    Attributes:
        columns: The stored columns that it looks at.
    """

    def __init__(
        self,
        expression: pc.Expression,
        schema: pa.Schema,
        ref: str,
        conditions: Sequence[Condition] = (),
    ) -> None:
        self._expression = expression
        self._conditions = conditions
        self._ref = ref
        names = _names_in(expression)
        self.columns = [i for i, name in enumerate(schema.names) if name in names]
        try:
            try:
                self._try(schema, self.columns)
            except _UNBOUND:
                self.columns = list(range(len(schema)))  # it refers to some in another way
                self._try(schema, self.columns)
        except _UNBOUND as exc:
            raise self._unfit(exc, schema.empty_table()) from exc

    def _try(self, schema: pa.Schema, columns: Sequence[int]) -> None:
        fields = [schema.field(i) for i in columns]
        kind = self._evaluated(pa.schema(fields).empty_table(), self._expression).type
        if kind != pa.bool_():
            raise pa.ArrowInvalid(f"it gives {kind}, not true or false")

    def mask(self, table: pa.Table) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Return for each row of a table, of `columns` at least, whether it is selected.

        Raises:
            InvalidRequestError: A value of it cannot be compared so.
        """
        try:
            found = self._evaluated(table, self._expression)
        except _UNBOUND as exc:
            raise self._unfit(exc, table) from exc
        return np.asarray(found.combine_chunks().fill_null(False).to_numpy(zero_copy_only=False))

    def candidates(
        self, schema: pa.Schema, ranges: dict[int, list[Range | None]], count: int
    ) -> list[int]:
        """Return the pieces that may have a row that is selected, by the ranges of their values."""
        import pyarrow.dataset as ds
        from pyarrow.fs import LocalFileSystem

        usable = [i for i in ranges if i < len(schema) and i in self.columns]
        # Arrow takes a comparison with NaN for a false one, and its contrary for false, too.
        has_nan = "nan" in str(self._expression).lower()
        if not usable or has_nan or len(set(schema.names)) < len(schema):
            return list(range(count))
        plain = _comparable_schema(schema)
        # Datasets leave out the files that cannot have what a filter wants. No file is opened.
        form, nowhere = ds.IpcFileFormat(), LocalFileSystem()
        parts = []
        for piece in range(count):
            known = pc.scalar(True)
            for i in usable:
                field = plain.field(i)
                told = guarantee(field.name, field.type, ranges[i][piece])
                known = known if told is None else known & told
            parts.append(form.make_fragment(str(piece), nowhere, partition_expression=known))
        dataset = ds.FileSystemDataset(parts, plain, form, nowhere)
        return sorted(int(part.path) for part in dataset.get_fragments(self._expression))

    @staticmethod
    def _evaluated(table: pa.Table, expression: pc.Expression) -> Any:
        from pyarrow import acero

        if not table.num_columns:
            table = pa.table({"": pa.nulls(table.num_rows)})
        steps = [
            acero.Declaration("table_source", acero.TableSourceNodeOptions(_comparable(table))),
            acero.Declaration("project", acero.ProjectNodeOptions([expression], ["kept"])),
        ]
        return acero.Declaration.from_sequence(steps).to_table(use_threads=False).column(0)

    def _unfit(self, exc: BaseException, table: pa.Table) -> InvalidRequestError:
        text, schema = str(exc), table.schema
        if "No match for FieldRef" in text:
            name = text.partition("(")[2].partition(")")[0]
            names = ", ".join(map(repr, schema.names[:8])) + (", …" if len(schema) > 8 else "")
            text = f"there is no column {name!r}; it has {names}"
        for one in self._conditions:
            try:
                self._evaluated(table, one.expression)
            except _UNBOUND:
                text = f"{_told(one.given)}: {text}"
                break
        return InvalidRequestError(f"{self._ref} cannot be filtered so: {text}", self._ref)


def selected_rows(table: Any, mask: "np.ndarray[Any, np.dtype[np.bool_]]") -> Any:
    """Return the rows of a table or frame for which *mask* is true; None for anything else.

    What was selected is a copy, so the rest can go.
    """
    if isinstance(table, (pa.Table, pa.RecordBatch)):
        try:
            return table.filter(pa.array(mask))
        except pa.ArrowNotImplementedError:  # Arrow has no such code for some types
            return _by_slices(table, mask)
    module = type(table).__module__.partition(".")[0]
    if module == "polars" and hasattr(table, "filter"):
        return table.filter(mask)
    if len(getattr(table, "shape", ())) in (1, 2) and module in ("pandas", "geopandas", "numpy"):
        return table[mask]
    return None


def _by_slices(table: Any, mask: "np.ndarray[Any, np.dtype[np.bool_]]") -> Any:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    starts, ends = edges[::2].tolist(), edges[1::2].tolist()
    parts = [table.slice(start, end - start) for start, end in zip(starts, ends, strict=True)]
    if isinstance(table, pa.RecordBatch):
        whole = pa.Table.from_batches(parts, table.schema).combine_chunks()
        batches = whole.to_batches()
        return batches[0] if batches else table.slice(0, 0)
    return pa.concat_tables(parts) if parts else table.slice(0, 0)


def _names_in(expression: pc.Expression) -> set[str]:
    """Return the names that an expression has in it, of columns and of parts of them."""
    try:
        entries = schema_entries(memoryview(expression.__reduce__()[1][0]))
    except (ValueError, TypeError, IndexError):  # written in another way: all columns are looked at
        return set()
    return {value.decode(errors="replace") for key, value in entries if key == b"field_ref"}


def _comparable(table: pa.Table) -> pa.Table:
    """Return a table in types that Arrow can compare."""
    for i, field in enumerate(table.schema):
        column, kind = table.column(i), field.type
        plain = _comparable_type(kind)
        if plain == kind:
            continue
        if isinstance(kind, pa.BaseExtensionType):
            column = pa.chunked_array([part.storage for part in column.chunks], kind.storage_type)
        if column.type != plain:
            column = column.cast(plain)
        table = table.set_column(i, pa.field(field.name, plain), column)
    return table


def _comparable_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(f.name, _comparable_type(f.type)) for f in schema])


def _comparable_type(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _comparable_type(kind.storage_type)
    if kinds.is_dictionary(kind):
        return _comparable_type(kind.value_type)
    if kinds.is_string_view(kind):
        return pa.large_string()
    if kinds.is_binary_view(kind):
        return pa.large_binary()
    return kind


def _lists(call: str, filters: Any) -> list[list[tuple[Any, str, Any]]]:
    if isinstance(filters, (str, bytes)) or not isinstance(filters, Sequence) or not len(filters):
        raise unfit(call, "filters", _MEANT, filters)
    single = isinstance(filters[0], tuple)
    lists = []
    for ands in [filters] if single else filters:
        if isinstance(ands, (str, bytes)) or not isinstance(ands, Sequence) or not len(ands):
            raise unfit(call, "filters", _MEANT, filters)
        lists.append([_condition(call, one) for one in ands])
    return lists


def _other(one: Any) -> str:
    return f"a tuple of {len(one)}" if isinstance(one, tuple) else shown(one)


def _condition(call: str, one: Any) -> tuple[Any, str, Any]:
    if not isinstance(one, tuple) or len(one) != 3:
        raise InvalidRequestError(
            f"{call}: filters: each condition is a tuple of a column, an operator and a value, "
            f"as ('x', '>', 1), not {_other(one)}"
        )
    label, operator, value = one
    if type(operator) is not str or operator not in _OPERATORS:
        raise InvalidRequestError(
            f"{call}: filters: {shown(operator)} is no operator; there are {', '.join(_OPERATORS)}"
        )
    if getattr(label, "__hash__", None) is None:
        raise InvalidRequestError(f"{call}: filters: {shown(label)} is no label of a column")
    if operator in ("in", "not in"):
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise InvalidRequestError(
                f"{call}: filters: {operator!r} takes a list of values, not {shown(value)}"
            )
        value = list(value)
    return label, operator, value

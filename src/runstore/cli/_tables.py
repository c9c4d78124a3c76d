"""Values as Arrow tables, for files and previews; what would be lost is an error."""

import json
from typing import Any

import pyarrow as pa

from runstore.errors import UnsupportedValueError

__all__ = [
    "as_table",
    "first_rows",
    "head",
    "index_count",
    "is_array",
    "is_tabular",
    "row_count",
    "texts_table",
    "titles",
]


def is_tabular(value: Any) -> bool:
    """Return whether *value* is a table or a column, of pandas, polars or pyarrow."""
    if isinstance(value, (pa.Table, pa.RecordBatch, pa.Array, pa.ChunkedArray)):
        return True
    kind = type(value).__name__
    return _library(value) in ("pandas", "polars") and (
        kind in ("DataFrame", "Series") or kind.endswith("Index")
    )


def is_array(value: Any) -> bool:
    """Return whether *value* is a NumPy array, and of no subclass."""
    import numpy as np

    return type(value) is np.ndarray


def titles(table: pa.Table) -> list[str]:
    """Return the column names for people and CSV files.

    Arrow's ``__index_level_0__`` becomes ``index``, unless there is a column of that name.
    """
    names: list[str] = table.column_names
    if "index" in names:
        return names
    return ["index" if name == "__index_level_0__" else name for name in names]


def as_table(value: Any, ref: str) -> pa.Table:
    """Return a tabular value as an Arrow table.

    A pandas index becomes columns, unless it only counts the rows. A single column
    keeps its name, or is called ``value``.

    Raises:
        UnsupportedValueError: A column holds what Arrow has no type for.
    """
    try:
        return _converted(value)
    except (pa.ArrowException, ValueError, TypeError) as exc:
        raise UnsupportedValueError(
            f"{ref} cannot be written as a table: {exc.args[0] if exc.args else exc}. Read it in "
            "Python with get()",
            ref,
        ) from exc


def head(value: Any, count: int) -> Any:
    """Return the first *count* rows of a tabular value, as the same type."""
    if isinstance(value, (pa.Table, pa.RecordBatch, pa.Array, pa.ChunkedArray)):
        return value.slice(0, count)
    return value.head(count) if hasattr(value, "head") else value[:count]


def row_count(value: Any) -> int:
    """Return the number of rows of a tabular value."""
    return int(value.num_rows) if isinstance(value, (pa.Table, pa.RecordBatch)) else len(value)


def first_rows(value: Any, count: int) -> tuple[list[tuple[str, str]], list[list[Any]]]:
    """Return name and type of each column, as its own library calls it, and the first rows."""
    first = head(value, count)
    try:
        table = _converted(first)
        columns = [_items(column) for column in table.columns]
        names = titles(table)
    except (pa.ArrowException, ValueError, TypeError):  # objects of many kinds in one column
        first = first if hasattr(first, "columns") else first.to_frame()
        names = [str(label) for label in first.columns]
        columns = [[str(item) for item in first.iloc[:, i]] for i in range(len(names))]
        return list(zip(names, _own_types(first), strict=True)), _rows(columns)
    types = [str(field.type) for field in table.schema]
    own = _own_types(value)
    types[: len(own)] = own
    return list(zip(names, types, strict=True)), _rows(columns)


def index_count(value: Any, shown: int) -> int:
    """Return how many of so many columns that are shown, the last ones, are an index of pandas."""
    if _library(value) != "pandas" or not hasattr(value, "index"):
        return 0
    return shown - (len(value.columns) if hasattr(value, "columns") else 1)


def texts_table(value: Any, count: int) -> pa.Table:
    """Return the first rows of a tabular value as a table that CSV can hold.

    Lists and structs are JSON, time spans text; so are all cells of a column with objects of many
    kinds, in a frame that has one.
    """
    try:
        table = _converted(head(value, count))
    except (pa.ArrowException, ValueError, TypeError):
        columns, rows = first_rows(value, count)
        cells = [[row[i] for row in rows] for i in range(len(columns))]
        arrays = [pa.array(column, pa.string()) for column in cells]
        return pa.Table.from_arrays(arrays, names=[name for name, _ in columns])
    for i, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_nested(kind) or pa.types.is_duration(kind) or pa.types.is_interval(kind):
            written = [_text_of(item) for item in _items(table.column(i))]
            table = table.set_column(i, field.name, pa.array(written, pa.string()))
    return table


def _text_of(item: Any) -> str | None:
    if item is None:
        return None
    if isinstance(item, (list, dict)) and not hasattr(item, "_fields"):
        return json.dumps(item, ensure_ascii=False, default=str)
    return str(item)


def _items(column: Any) -> list[Any]:
    """Return the items of an Arrow column; those that Python has no value for, as text.

    These are times and dates before the year 1 or after 9999, very long time spans, and text
    that is not UTF-8.
    """
    try:
        found: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):
        return [_item(scalar) for scalar in column]
    return found


def _item(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        kind = scalar.type
    if isinstance(scalar, (pa.ListScalar, pa.StructScalar)):
        return [_item(one) for one in scalar.values] if hasattr(scalar, "values") else str(scalar)
    if hasattr(scalar, "as_buffer"):
        return scalar.as_buffer().to_pybytes().decode(errors="backslashreplace")
    if pa.types.is_timestamp(kind):
        import numpy as np

        return str(np.datetime64(scalar.value, kind.unit))
    return f"{getattr(scalar, 'value', '?')} {getattr(kind, 'unit', kind)}"


def _converted(value: Any) -> pa.Table:
    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return pa.table({"value": value})
    if _library(value) == "polars":
        frame = value if hasattr(value, "columns") else value.to_frame(value.name or "value")
        return frame.to_arrow()
    return _from_pandas(value)


def _from_pandas(value: Any) -> pa.Table:
    import pandas as pd

    if isinstance(value, pd.Index):
        title = "value" if value.name is None else value.name
        value = value.to_frame(index=False) if value.nlevels > 1 else value.to_frame(False, title)
    elif isinstance(value, pd.Series):
        value = value.to_frame("value" if value.name is None else value.name)
    if not value.columns.is_unique:
        raise ValueError("two columns have the same name")
    # Not left to the pandas metadata in the schema, which other programs do not read.
    return pa.Table.from_pandas(value, preserve_index=not _only_counts(value.index))


def _only_counts(index: Any) -> bool:
    import pandas as pd

    return (
        isinstance(index, pd.RangeIndex)
        and index.name is None
        and (index.start, index.step) == (0, 1)
    )


def _own_types(value: Any) -> list[str]:
    if _library(value) not in ("pandas", "polars"):
        return []
    if hasattr(value, "dtypes") and hasattr(value, "columns"):
        return [str(dtype) for dtype in value.dtypes]
    return [str(value.dtype)] if hasattr(value, "dtype") else []


def _rows(columns: list[list[Any]]) -> list[list[Any]]:
    return [list(row) for row in zip(*columns, strict=True)]


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]

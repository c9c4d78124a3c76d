"""A stored value read in part, or as another type than it was put as."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from runstore.codecs._base import Codec, Opened, OpenedObject, Projecting, type_name
from runstore.codecs._cells import blob_in
from runstore.codecs._pickle import Pickling
from runstore.codecs._steps import of_one_file
from runstore.errors import InvalidRequestError, RunStoreError, UnsupportedValueError
from runstore.faults import is_own_fault

__all__ = ["columns_kept", "converted", "decode", "is_table_as_stored", "selected", "stored_as"]

Spec = dict[str, Any]


@of_one_file
def decode(
    codec: Codec,
    whole: OpenedObject,
    spec: Spec,
    pickling: Pickling,
    columns: list[Any] | None = None,
    as_type: type | None = None,
) -> Any:
    """Rebuild a value, or only these columns of it, as it was put or as another type.

    Raises:
        InvalidRequestError: It has no columns, or not these.
        UnsupportedValueError: It is no *as_type* and cannot be read as one exactly.
        Exception: Whatever `Codec.decode` raises.
    """
    opened: Opened = whole
    if columns is not None and isinstance(codec, Projecting):
        kept, spec = columns_kept(codec, opened.schema, spec, columns, opened.ref)
        opened, columns = whole.project(kept), None
        if as_type is not None:
            stored = stored_as(codec.name, codec.version, opened, spec, as_type)
            if stored is not None:
                return stored
    if as_type is None:
        value = codec.decode(opened, spec, pickling)
        return value if columns is None else selected(value, columns, opened.ref)
    if as_type in (bytes, bytearray, memoryview):
        blob = _blob(codec.name, opened, spec)
        if blob is not None:
            return blob if as_type is memoryview else as_type(blob)
    value = codec.decode(opened, spec, pickling)
    if columns is not None:
        value = selected(value, columns, opened.ref)
    return converted(value, as_type, opened.ref)


def columns_kept(
    codec: Codec, schema: pa.Schema, spec: Spec, columns: list[Any], ref: str
) -> tuple[list[int], Spec]:
    """Return which stored columns are needed for these, and the spec to decode them with.

    Raises:
        InvalidRequestError: It has no columns, or not these.
    """
    try:
        if not isinstance(codec, Projecting):
            raise TypeError(codec.name)
        return codec.project(schema, spec, columns)
    except KeyError as exc:
        raise _no_column(exc.args[0], schema.names, ref) from exc
    except TypeError as exc:
        raise _no_columns(ref) from exc


def _blob(codec: str, opened: Opened, spec: Spec) -> memoryview | None:
    """Return stored bytes, or the stream of a pickle, which is only looked at."""
    if codec in ("pickle", "bytes"):
        return blob_in(opened, 0)
    if codec == "pandas" and _kinds(spec) == [("pickle", 1)]:
        from runstore.codecs._pandas_pickled import pickle_in

        return pickle_in(opened, opened.table().column(0), spec["columns"][0][0])
    return None


def _kinds(spec: Spec) -> list[tuple[str, int]]:
    return [(how["k"], count) for how, count in spec.get("columns", ())]


def selected(value: Any, columns: list[Any], ref: str) -> Any:
    """Return a table with these columns alone.

    Raises:
        InvalidRequestError: It is no table, or has no such column.
    """
    name = type_name(type(value))
    pandas = any(type_name(kind) in _PANDAS_FRAMES for kind in type(value).__mro__)
    if pandas:
        names = list(value.columns)
    elif name in ("pyarrow.lib.Table", "pyarrow.lib.RecordBatch"):
        names = value.schema.names
    elif name == _POLARS_FRAME:
        names = value.columns
    else:
        raise _no_columns(ref)
    for column in columns:
        if column not in names:
            raise _no_column(column, names, ref)
    return value[columns] if pandas else value.select(columns)


def _no_columns(ref: str) -> InvalidRequestError:
    return InvalidRequestError(f"{ref} is no table: get it without columns=", ref)


def _no_column(column: Any, names: list[Any], ref: str) -> InvalidRequestError:
    from difflib import get_close_matches  # seldom needed

    close = get_close_matches(str(column), map(str, names), n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}" if close else f"it has {_few(names)}"
    return InvalidRequestError(f"{ref} has no column {column!r}; {hint}", ref)


def _few(names: list[Any]) -> str:
    return ", ".join(map(repr, names[:8])) + (", …" if len(names) > 8 else "")


# Stored columns as they are, without building the value ------------------------------------------


def is_table_as_stored(codec: str, version: int, kind: type) -> bool:
    """Return whether `stored_as` makes a *kind* of all stored columns, without their index."""
    wants, _ = _OF_COLUMNS.get(type_name(kind), ("", None))
    return wants == "table" and version <= _LAYOUTS.get(codec, 0)


def stored_as(codec: str, version: int, opened: Opened, spec: Spec, kind: type) -> Any:
    """Return the stored columns as *kind*; None if the value itself has to be looked at.

    The library of the value is not needed: not pandas, to read its frame into polars.

    Raises:
        UnsupportedValueError: Some of them are not what the value says.
    """
    name = type_name(kind)
    if name not in _OF_COLUMNS or version > _LAYOUTS.get(codec, 0):
        return None
    wants, build = _OF_COLUMNS[name]
    polars = name.startswith("polars.")
    if codec in ("geoarrow", "pandas", "pandas.parquet"):
        table = spec["kind"] == "frame" or (spec["kind"] == "index" and len(opened.schema) > 1)
        has = "table" if table or wants == "table" else "column"
        _check_plain(opened, spec, kind, polars)
    elif codec == "arrow" and "extensions" not in spec:
        has = "table" if spec["kind"] in ("table", "batch") else "column"
    elif codec in ("polars", "polars.parquet") and not polars:
        has = "column" if "series" in spec else "table"
    else:
        return None
    if wants != has:
        return None
    stored = opened.table()
    try:
        return build(stored)
    except (MemoryError, RunStoreError):
        raise
    except Exception as exc:  # what a library cannot take, it says in its own way
        if is_own_fault(exc):
            raise
        raise _inexact(opened.ref, kind, str(exc)) from exc


def _check_plain(opened: Opened, spec: Spec, kind: type, polars: bool) -> None:
    names, at = opened.schema.names, 0
    for how, count in spec.get("columns", ()):
        if (what := _OF_PANDAS.get(how["k"])) or how.get("of") in ("tree", "packed"):
            raise _inexact(opened.ref, kind, f"column {names[at]!r} {what or 'is of objects'}")
        if polars and how["k"] in ("cat", "labels") and how["ordered"]:
            raise _inexact(opened.ref, kind, f"column {names[at]!r} has ordered categories")
        at += count
    if spec["kind"] == "frame" and spec["labels"]["k"] == "labels":
        labels = [str(label) for label in spec["labels"]["values"]]
        if labels != names[:at]:
            raise _inexact(opened.ref, kind, "several columns have one name")
    if spec["kind"] == "frame" and not spec["labels"].get("unique", True):
        raise _inexact(opened.ref, kind, "several columns have one name")


_OF_PANDAS = {
    "complex": "has complex numbers",
    "interval": "has intervals",
    "period": "has periods",
    "pickle": "is pickled",
}  # what Arrow has no type for


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    if len(batches) > 1:
        raise ValueError(f"it is stored as {len(batches)} batches; take a pyarrow.Table")
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _polars_frame(table: pa.Table) -> Any:
    from runstore.codecs._polars import frame_of

    return frame_of(table)


def _array(table: pa.Table) -> pa.Array:
    column = table.column(0)
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


_PANDAS_FRAMES = ("pandas.DataFrame", "pandas.core.frame.DataFrame")
_PANDAS_SERIES = ("pandas.Series", "pandas.core.series.Series")
_POLARS_FRAME = "polars.dataframe.frame.DataFrame"
_POLARS_SERIES = "polars.series.series.Series"

_LAYOUTS = {  # the codecs' versions that this reads
    **dict.fromkeys(("arrow", "geoarrow", "pandas.parquet", "polars.parquet"), 1),
    **dict.fromkeys(("pandas", "polars"), 2),
}

_OF_COLUMNS: dict[str, tuple[str, Callable[[pa.Table], Any]]] = {
    "pyarrow.lib.Table": ("table", lambda table: table),
    "pyarrow.lib.RecordBatch": ("table", _batch),
    "pyarrow.lib.ChunkedArray": ("column", lambda table: table.column(0)),
    "pyarrow.lib.Array": ("column", _array),
    _POLARS_FRAME: ("table", _polars_frame),
    _POLARS_SERIES: ("column", lambda table: _polars_frame(table).to_series(0)),
}


# Values as another type ---------------------------------------------------------------------------


def converted(value: Any, kind: type, ref: str) -> Any:
    """Return *value* as *kind*: itself if it is one, else on the same memory where that is exact.

    Raises:
        UnsupportedValueError: That would not be exact.
    """
    if isinstance(value, kind):
        return value
    build = _OF_VALUES.get(type_name(kind))
    if build is not None:
        try:
            built = build(value)
        except (MemoryError, RunStoreError):
            raise
        except Exception as exc:  # likewise
            if is_own_fault(exc):
                raise
            raise _inexact(ref, kind, str(exc)) from exc
        if built is not None:
            return built
    raise _inexact(ref, kind, f"it is a {type_name(type(value))}")


def _inexact(ref: str, kind: type, reason: str) -> UnsupportedValueError:
    return UnsupportedValueError(
        f"{ref} cannot be read exactly as a {type_name(kind)}: {reason}. Get it without as_type, "
        "and convert it",
        ref,
    )


def _pandas_frame(value: Any) -> Any:
    """Arrow-backed columns, so that no type, null or NaN changes."""
    import pandas as pd

    name = type_name(type(value))
    if name == "pyarrow.lib.RecordBatch":
        value = pa.Table.from_batches([value])
    elif name == _POLARS_FRAME:
        return value.to_pandas(use_pyarrow_extension_array=True)
    elif name != "pyarrow.lib.Table":
        return None
    if len(set(value.column_names)) < value.num_columns:
        raise ValueError("several columns have one name")
    return value.to_pandas(types_mapper=pd.ArrowDtype)


def _pandas_series(value: Any) -> Any:
    import numpy as np
    import pandas as pd

    if type_name(type(value)) == _POLARS_SERIES:
        return value.to_pandas(use_pyarrow_extension_array=True)
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return pd.Series(pd.arrays.ArrowExtensionArray(value))
    if isinstance(value, np.ndarray) and value.ndim == 1:
        series = pd.Series(value, copy=False)
        return series if series.dtype == value.dtype else None
    return None


def _numpy_array(value: Any) -> Any:
    """One dtype for all, and no nulls: NumPy has neither labels nor missing values."""
    import numpy as np

    name = type_name(type(value))
    if name in _PANDAS_FRAMES:
        dtypes = set(value.dtypes)
        if len(dtypes) != 1 or not isinstance(dtypes.pop(), np.dtype):
            raise ValueError("its columns are not of one NumPy dtype")
        return _writable(value.to_numpy())
    if name in _PANDAS_SERIES or name.startswith("pandas."):
        if not isinstance(value.dtype, np.dtype):
            raise ValueError(f"its dtype is {value.dtype}, not one of NumPy's")
        return _writable(value.to_numpy())
    if name == _POLARS_SERIES:
        value = value.to_arrow()
    if isinstance(value, pa.ChunkedArray):
        value = value.chunk(0) if value.num_chunks == 1 else pa.concat_arrays(value.chunks)
    if not isinstance(value, pa.Array):
        return None
    kind = value.type
    if value.null_count or not (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    ):
        raise ValueError("only numbers and booleans without nulls are a NumPy array")
    return _writable(value.to_numpy(zero_copy_only=False))


def _writable(array: Any) -> Any:
    try:
        array.flags.writeable = True  # the memory is ours alone
    except ValueError:  # Arrow's, or shared with an index
        return array.copy()
    return array


_OF_VALUES: dict[str, Callable[[Any], Any]] = {
    "numpy.ndarray": _numpy_array,
    **dict.fromkeys(_PANDAS_FRAMES, _pandas_frame),
    **dict.fromkeys(_PANDAS_SERIES, _pandas_series),
}

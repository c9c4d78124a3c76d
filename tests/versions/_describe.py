"""A value as plain JSON, alike with every version of its library, to be compared between them."""

import dataclasses
import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import xarray as xr

__all__ = ["described", "difference"]


def described(value: Any) -> Any:
    """Return all that tells *value* from others: types, bits, names, each missing value's kind."""
    for kind, describe in _BY_TYPE:
        if isinstance(value, kind):
            return describe(value)
    if dataclasses.is_dataclass(value):
        return [type(value).__name__, described(vars(value))]
    return [type(value).__name__, repr(value)]


def difference(expected: Any, actual: Any, at: str = "") -> str | None:
    """Return where two descriptions differ first, or None if they are the same."""
    if not (isinstance(expected, list) and isinstance(actual, list)):
        return None if expected == actual else f"{at or 'it'}: {expected!r} became {actual!r}"
    if len(expected) != len(actual):
        return f"{at or 'it'}: {expected!r} became {actual!r}"
    name = expected[0] if expected and isinstance(expected[0], str) else ""
    pairs = zip(expected, actual, strict=True)
    found = (
        difference(one, two, f"{at}/{name}{number}") for number, (one, two) in enumerate(pairs)
    )
    return next((text for text in found if text is not None), None)


def _float(value: float) -> Any:
    return ["float", "nan" if math.isnan(value) else value.hex()]


def _datetime(value: dt.datetime) -> Any:
    return ["datetime", value.replace(tzinfo=None).isoformat(), str(value.tzinfo)]


def _all(values: Any) -> list[Any]:
    return [described(one) for one in values]


def _dict(value: dict[Any, Any]) -> Any:
    return [type(value).__name__, _all(value), _all(value.values())]


def _set(value: Any) -> Any:
    return [type(value).__name__, sorted(_all(value), key=repr)]


def _numpy_dtype(dtype: np.dtype[Any]) -> Any:
    if dtype.names:
        return [[name, _numpy_dtype(dtype[name])] for name in dtype.names]
    return str(dtype) if dtype.kind == "T" else dtype.str


def _array(value: Any) -> Any:
    if isinstance(value, np.ma.MaskedArray):
        data, mask = value.data, np.ma.getmaskarray(value)
        return ["masked", _array(np.asarray(data)), mask.tolist(), described(value.fill_value)]
    cells = _all(value.ravel()) if value.dtype.kind in "OT" else value.tobytes().hex()
    kind = type(value).__name__
    return [kind, _numpy_dtype(value.dtype), list(value.shape), value.flags.f_contiguous, cells]


def _scalar(value: np.generic) -> Any:
    return ["scalar", _numpy_dtype(value.dtype), value.tobytes().hex()]


def _moment(value: Any) -> Any:
    if value is pd.NaT:
        return ["NaT"]
    zone = getattr(value, "tz", None)
    return [type(value).__name__, value.unit, str(value._value), str(zone)]


def _dtype(dtype: Any) -> Any:
    if isinstance(dtype, np.dtype):
        return _numpy_dtype(dtype)
    if isinstance(dtype, pd.StringDtype):
        # pandas 2.2 tells by the name of the storage that NaN is what is missing.
        storage, missing = dtype.storage, "NA" if dtype.na_value is pd.NA else "nan"
        return ["string", "pyarrow" if storage == "pyarrow_numpy" else storage, missing]
    if isinstance(dtype, pd.CategoricalDtype):
        return ["categories", dtype.ordered, described(dtype.categories)]
    return [type(dtype).__name__, str(dtype)]


def _pandas_array(values: Any) -> Any:
    if isinstance(values, pd.Categorical):
        return [_dtype(values.dtype), values.codes.tolist()]
    if isinstance(values, pd.arrays.NumpyExtensionArray):
        return _array(values.to_numpy())
    return [_dtype(values.dtype), _all(values)]


def _index(index: Any) -> Any:
    if isinstance(index, pd.MultiIndex):
        codes = [code.tolist() for code in index.codes]
        return ["MultiIndex", _all(index.names), _all(index.levels), codes]
    freq = getattr(index, "freq", None)
    kind, name = type(index).__name__, described(index.name)
    return [kind, name, freq and freq.freqstr, _pandas_array(index.array)]


def _series(value: Any) -> Any:
    return ["Series", described(value.name), _index(value.index), _pandas_array(value.array)]


def _frame(value: Any) -> Any:
    columns = [_pandas_array(value.iloc[:, at].array) for at in range(value.shape[1])]
    kept = [described(value.attrs), value.flags.allows_duplicate_labels]
    return [type(value).__name__, _index(value.columns), _index(value.index), columns, *kept]


def _arrow_type(kind: pa.DataType) -> Any:
    return [str(kind), getattr(kind, "extension_name", None)]


def _arrow_array(value: Any) -> Any:
    return [type(value).__name__, _arrow_type(value.type), _all(value.to_pylist())]


def _arrow_schema(schema: pa.Schema) -> Any:
    fields = [
        [field.name, _arrow_type(field.type), field.nullable, _metadata(field.metadata)]
        for field in schema
    ]
    return ["schema", fields, _metadata(schema.metadata)]


def _metadata(metadata: Any) -> Any:
    return sorted([key.decode(), text.decode()] for key, text in (metadata or {}).items())


def _arrow_table(value: Any) -> Any:
    columns = [_all(column.to_pylist()) for column in value.columns]
    return [type(value).__name__, _arrow_schema(value.schema), columns]


def _polars_dtype(dtype: Any) -> Any:
    name = dtype.base_type().__name__
    if name == "Enum":
        return [name, dtype.categories.to_list()]
    if name == "Struct":
        return [name, [[field.name, _polars_dtype(field.dtype)] for field in dtype.fields]]
    if name in ("List", "Array"):
        return [name, _polars_dtype(dtype.inner), list(getattr(dtype, "shape", ()))]
    told = ("time_unit", "time_zone", "precision", "scale")
    return [name, *(str(getattr(dtype, one, None)) for one in told)]


def _polars_series(value: pl.Series) -> Any:
    return ["polars.Series", value.name, _polars_dtype(value.dtype), _all(value.to_list())]


def _polars_frame(value: pl.DataFrame) -> Any:
    return ["polars.DataFrame", [_polars_series(one) for one in value]]


def _variable(value: Any) -> Any:
    return [list(value.dims), described(value.values), described(value.attrs)]


def _xarray(value: Any) -> Any:
    coords = [[name, _variable(one.variable)] for name, one in value.coords.items()]
    if isinstance(value, xr.DataArray):
        return ["DataArray", described(value.name), coords, _variable(value.variable)]
    variables = [[name, _variable(one.variable)] for name, one in value.data_vars.items()]
    return ["Dataset", coords, variables, described(value.attrs)]


_BY_TYPE: tuple[tuple[Any, Any], ...] = (
    (pd.DataFrame, _frame),
    (pd.Series, _series),
    (pd.Index, _index),
    ((pd.Timestamp, pd.Timedelta, type(pd.NaT)), _moment),
    (np.ndarray, _array),
    (np.generic, _scalar),
    ((pa.Table, pa.RecordBatch), _arrow_table),
    ((pa.Array, pa.ChunkedArray), _arrow_array),
    (pa.Schema, _arrow_schema),
    (pl.DataFrame, _polars_frame),
    (pl.Series, _polars_series),
    ((xr.Dataset, xr.DataArray), _xarray),
    (dt.datetime, _datetime),  # pyarrow and polars take the class of the zone that they find
    (float, _float),
    (dict, _dict),
    ((list, tuple), lambda value: [type(value).__name__, *_all(value)]),
    ((set, frozenset), _set),
)

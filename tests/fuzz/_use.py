"""Use every cell of a value, as its user would."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import xarray as xr

__all__ = ["OUT_OF_RANGE", "use"]

# Any bits are a number, and Python has not got all times and decimals that they stand for. Nor has
# it all zones that an Arrow column may name: pytz and zoneinfo say that by a KeyError.
OUT_OF_RANGE = (
    *(ValueError, OverflowError, ArithmeticError, TypeError, NotImplementedError, KeyError),
    pa.ArrowException,
)


def use(value: Any) -> None:
    """Look at every cell of *value*, and at its repr."""
    repr(value)
    if isinstance(value, pd.DataFrame):
        for i in range(value.shape[1]):
            use(value.iloc[:, i])
    elif isinstance(value, pd.Series):
        value.tolist()
        value.isna().sum()
        value.index.tolist()
    elif isinstance(value, pd.Index):
        value.tolist()
        value.unique()
    elif isinstance(value, (pa.Table, pa.RecordBatch)):
        for column in value.columns:
            use(column)
    elif isinstance(value, (pa.Array, pa.ChunkedArray)):
        value.to_pylist()
        value.drop_null()
    elif isinstance(value, pa.Scalar):
        value.as_py()
    elif isinstance(value, pl.DataFrame):
        value.rows()
        value.drop_nulls()
    elif isinstance(value, pl.Series):
        value.to_list()
        value.drop_nulls()
    elif isinstance(value, np.ndarray):
        value.tolist()
        if value.dtype.kind == "b":
            np.nonzero(value)
    elif isinstance(value, (xr.Dataset, xr.DataArray)):
        for variable in value.variables.values() if isinstance(value, xr.Dataset) else [value]:
            use(np.asarray(variable))
    elif isinstance(value, dict):
        for item in value.values():
            use(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            use(item)

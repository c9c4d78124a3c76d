"""Tables, and where they are kept: NumPy, pandas, polars, pyarrow, geopandas and others."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["LIBRARIES"]

Types = dict[str, Callable[[], Any]]

_FRAME = pd.DataFrame(np.random.default_rng(1).random((60, 3)), columns=[*"abc"])


def pandas() -> Types:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    return {
        "DataFrame": lambda: frame.copy(),
        "DataFrame.parquet": lambda: frame.copy(),
        "Series of Period": lambda: pd.Series(pd.period_range("2024", periods=2, freq="M")),
        "Series of Period.parquet": lambda: pd.Series(pd.period_range("2024", periods=2, freq="M")),
        "IntervalIndex": lambda: pd.interval_range(0, 2),
        "Categorical": lambda: pd.Categorical(["a", None], ["b", "a"]),
        "arrays.SparseArray": lambda: pd.arrays.SparseArray([0, 0, 1]),
        "arrays.IntegerArray": lambda: pd.array([1, None], "Int64"),
        "Timestamp": lambda: pd.Timestamp("2024-01-01", tz="Europe/Paris"),
        "Timedelta": lambda: pd.Timedelta("1d"),
        "Interval": lambda: pd.Interval(0, 1),
        "Period": lambda: pd.Period("2024-01", "M"),
        "NaT": lambda: pd.NaT,
        "NA": lambda: pd.NA,
        "CategoricalDtype": lambda: pd.CategoricalDtype(["a"], ordered=True),
        "DateOffset": lambda: pd.DateOffset(months=1),
        "offsets.CustomBusinessDay": lambda: pd.offsets.CustomBusinessDay(holidays=["2024-01-01"]),
        "DataFrameGroupBy": lambda: frame.groupby("a"),
        "Rolling": lambda: frame["a"].rolling(2),
        "Styler": lambda: frame.style,
        "Flags": lambda: frame.flags,
    }


def numpy() -> Types:
    return {
        "ndarray": lambda: _FRAME.to_numpy().copy(),
        "ma.MaskedArray": lambda: np.ma.array([1, 2], mask=[True, False]),
        "recarray": lambda: np.rec.array([(1, "a")], names="n,t"),
        "matrix": lambda: np.matrix([[1, 2]]),
        "datetime64": lambda: np.datetime64("2024-01-01"),
        "dtype": lambda: np.dtype([("a", "i4"), ("b", "f8", (2,))]),
        "random.Generator": lambda: np.random.default_rng(1),
        "random.RandomState": lambda: np.random.RandomState(1),
        "polynomial.Polynomial": lambda: np.polynomial.Polynomial([1, 2]),
        "poly1d": lambda: np.poly1d([1, 2]),
        "StringDType": lambda: np.array(["a", "bcd"], np.dtypes.StringDType()),
        "ufunc": lambda: np.add,
        "memmap": lambda: np.memmap("x.bin", "u1", "w+", shape=(3,)),
    }


def pyarrow() -> Types:
    import pyarrow as pa
    import pyarrow.dataset as ds

    table = pa.table({"a": [1, None], "b": [["x"], None]})
    return {
        "Table": lambda: table,
        "Table.parquet": lambda: table,
        "RecordBatch": lambda: table.to_batches()[0],
        "DictionaryArray": lambda: pa.array(["a", "b", "a"]).dictionary_encode(),
        "UuidArray": lambda: pa.array([b"0123456789abcdef"], pa.uuid()),
        "FixedShapeTensorArray": lambda: pa.FixedShapeTensorArray.from_numpy_ndarray(np.eye(2)),
        "MonthDayNano": lambda: pa.array([pa.MonthDayNano([1, 2, 3])]),
        "Scalar": lambda: pa.scalar(dt.date(2024, 1, 1)),
        "Schema": lambda: table.schema,
        "DataType": lambda: pa.list_(pa.int64()),
        "Field": lambda: pa.field("a", pa.int8(), nullable=False),
        "Tensor": lambda: pa.Tensor.from_numpy(np.eye(2)),
        "Buffer": lambda: pa.py_buffer(b"abc"),
        "Dataset": lambda: ds.dataset(table),
        "compute.Expression": lambda: ds.field("a") > 1,
        "fs.LocalFileSystem": lambda: pa.fs.LocalFileSystem(),
    }


def polars() -> Types:
    import polars as pl

    return {
        "DataFrame": lambda: pl.DataFrame({"a": [1, None], "b": ["x", "y"]}),
        "DataFrame of Enum": lambda: pl.DataFrame({"a": ["x"]}, schema={"a": pl.Enum(["x", "y"])}),
        "DataFrame of Enum.parquet": lambda: pl.DataFrame(
            {"a": ["x"]}, schema={"a": pl.Enum(["x", "y"])}
        ),
        "Series of Categorical": lambda: pl.Series(["b", "a"], dtype=pl.Categorical),
        "LazyFrame": lambda: pl.LazyFrame({"a": [1]}),
        "Expr": lambda: pl.col("a") + 1,
        "Schema": lambda: pl.Schema({"a": pl.Int64, "b": pl.List(pl.String)}),
        "DataType": lambda: pl.Datetime("us", "UTC"),
        "Config": lambda: pl.Config,
    }


def narwhals() -> Types:
    import narwhals as nw

    return {
        "DataFrame": lambda: nw.from_native(_FRAME),
        "Series": lambda: nw.from_native(_FRAME["a"], series_only=True),
    }


def geopandas() -> Types:
    import geopandas as gpd
    from shapely.geometry import Point

    points = [Point(1, 2), None]
    return {
        "GeoDataFrame": lambda: gpd.GeoDataFrame({"a": [1, 2]}, geometry=points, crs=4326),
        "GeoSeries": lambda: gpd.GeoSeries(points, crs=3857),
        "GeometryArray": lambda: gpd.GeoSeries(points).array,
        "GeoDataFrame.parquet": lambda: gpd.GeoDataFrame({"a": [1]}, geometry=points[:1], crs=4326),
        "GeoDataFrame of two.parquet": lambda: gpd.GeoDataFrame(
            {"b": gpd.GeoSeries(points)}, geometry=points, crs="EPSG:3857"
        ),
    }


def dask() -> Types:
    import dask.array
    import dask.dataframe

    return {
        "Array": lambda: dask.array.ones(3),
        "DataFrame": lambda: dask.dataframe.from_pandas(_FRAME, npartitions=2),
    }


def duckdb() -> Types:
    import duckdb as db

    return {
        "Connection": lambda: db.connect(),
        "Relation": lambda: db.sql("select 1 as a"),
    }


def h5py() -> Types:
    import h5py as h

    def file() -> Any:
        return h.File("x.h5", "w", driver="core", backing_store=False)

    return {
        "File": file,
        "Dataset": lambda: file().create_dataset("a", data=[1, 2]),
        "dtype of text": lambda: h.string_dtype(),
    }


def zarr() -> Types:
    import zarr as z

    return {
        "Array": lambda: z.array(np.arange(3)),
        "Group": lambda: z.group(),
    }


LIBRARIES: dict[str, Callable[[], Types]] = {
    make.__name__: make
    for make in (*(numpy, pandas, polars, pyarrow, narwhals, geopandas, dask, duckdb, h5py, zarr),)
}

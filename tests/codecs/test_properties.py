"""Any value Hypothesis comes up with is got as it was put, and writing to it stays private."""

import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.codecs.strategies import JSON, TEXT, arrays, frames, indexes, series_of, values
from tests.places.s3_ import open_store
from tests.servers.server import Server

from runstore import ObjectStore
from runstore.errors import UnsupportedValueError
from runstore.testing import assert_same


@pytest.fixture
def store() -> ObjectStore:
    """Give a store in memory, where writing to a value comes nearest to what is stored.

    Codecs know no place; that files are read alike is a test of the places.
    """
    return ObjectStore(f"memory://{uuid.uuid4()}")


def _goes_round(store: ObjectStore, value: Any) -> Any:
    view = store.at(namespace="tests", run="properties")
    view.put("x", value)
    actual = view.get("x")
    assert_same(value, actual)
    return actual


def _stays(store: ObjectStore, value: Any) -> None:
    assert_same(value, store.at(namespace="tests", run="properties").get("x"))


@given(frame=frames())
def test_frames(store: ObjectStore, frame: pd.DataFrame) -> None:
    """A frame comes back the same, and can be written to."""
    actual = _goes_round(store, frame)
    if not actual.size:
        return
    for i, dtype in enumerate(actual.dtypes):
        if isinstance(dtype, np.dtype) and dtype.kind in "iufc":
            actual.iloc[0, i] = 0
            actual.iloc[-1, i] = 1
        elif isinstance(dtype, np.dtype) and dtype.kind in "mM":
            actual.iloc[0, i] = pd.NaT
    _stays(store, frame)


@pytest.fixture(scope="module")
def on_s3(seaweed_server: Server) -> ObjectStore:
    """Give a store on S3."""
    return open_store(seaweed_server, "obstore")


@settings(max_examples=30)
@given(value=frames() | arrays())
def test_on_s3(on_s3: ObjectStore, value: Any) -> None:
    """Frames and arrays come back the same from S3, too."""
    _goes_round(on_s3, _settled(value) if isinstance(value, np.ndarray) else value)


@given(data=st.data(), size=st.integers(0, 6))
def test_series(store: ObjectStore, data: Any, size: int) -> None:
    """A series comes back the same, whatever its values, index and name."""
    name = data.draw(st.none() | TEXT | st.integers() | st.floats())
    _goes_round(store, series_of(data.draw(values(size)), data.draw(indexes(size)), name))


@given(data=st.data(), size=st.integers(0, 6))
def test_indexes(store: ObjectStore, data: Any, size: int) -> None:
    """An index alone comes back the same."""
    _goes_round(store, data.draw(indexes(size)))


@pytest.mark.extended
@given(array=arrays())
def test_arrays(store: ObjectStore, array: Any) -> None:
    """An array of any dtype, shape and order comes back the same, and can be written to."""
    actual = _goes_round(store, _settled(array))
    if actual.dtype.kind in "iufc" and actual.size:
        with np.errstate(all="ignore"):
            actual += 1
        _stays(store, _settled(array))


def _settled(array: Any) -> Any:
    """Give the array in the order in which it comes back, if it has neither order."""
    contiguous = array.flags.c_contiguous or array.flags.f_contiguous
    return array if contiguous else np.ascontiguousarray(array)


@given(value=JSON)
def test_plain_python(store: ObjectStore, value: Any) -> None:
    """JSON-like values come back the same, text with surrogates included."""
    _goes_round(store, value)


@given(value=JSON)
def test_json_files(store: ObjectStore, value: Any) -> None:
    """A .json holds a value exactly or refuses it."""
    view = store.at(namespace="tests", run="properties")
    try:
        view.put("x.json", value)
    except UnsupportedValueError:
        return
    assert_same(value, view.get("x.json"))


@given(value=st.binary() | st.binary().map(bytearray) | TEXT)
def test_bytes_and_text(store: ObjectStore, value: Any) -> None:
    """bytes, bytearray and str come back the same."""
    _goes_round(store, value)


@given(frame=frames())
def test_parquet_files(store: ObjectStore, frame: pd.DataFrame) -> None:
    """A .parquet holds a frame exactly or refuses it."""
    view = store.at(namespace="tests", run="properties")
    try:
        view.put("x.parquet", frame)
    except UnsupportedValueError:
        return
    assert_same(frame, view.get("x.parquet"))

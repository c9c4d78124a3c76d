"""Any value Hypothesis comes up with is got as it was put, and writing to it stays private."""

import datetime as dt
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from runstore import ObjectStore
from runstore.errors import UnsupportedValueError
from runstore.testing import assert_same

_UNITS = st.sampled_from(["s", "ms", "us", "ns"])
_ZONES = st.sampled_from(
    [
        *(None, dt.UTC, dt.timezone(dt.timedelta(hours=-3))),
        *map(zoneinfo.ZoneInfo, ("UTC", "Asia/Kolkata", "America/New_York")),
    ]
)
_STAMPS = st.integers(-(2**61), 2**61) | st.just(np.iinfo("i8").min)  # the last is NaT
_TEXT = st.text(st.characters(codec=None), max_size=8)  # surrogates, too
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)
_CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | _TEXT
    | st.binary(max_size=4)
    | st.sampled_from([pd.NA, pd.NaT, pd.Timestamp("2024-01-01", tz="UTC"), dt.date(2024, 1, 1)])
    | st.tuples(st.integers())
    | st.dictionaries(st.text(max_size=2), st.none(), max_size=2)
)
_NUMBERS = (
    "i1",
    "i2",
    "i4",
    "i8",
    "u1",
    "u2",
    "u4",
    "u8",
    "f2",
    "f4",
    "f8",
    "c8",
    "c16",
    "?",
    ">f8",
)
_NULLABLE = ("Int8", "Int64", "UInt16", "Float32", "Float64", "boolean")
_STRINGS = ("str", "string[python]", "string[pyarrow]", "object")


def _objects(cells: list[Any]) -> Any:
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


@st.composite
def _numbers(draw: Any, size: int) -> Any:
    dtype = np.dtype(draw(st.sampled_from(_NUMBERS)))
    raw = draw(st.binary(min_size=size * dtype.itemsize, max_size=size * dtype.itemsize))
    if dtype.kind == "b":
        return np.frombuffer(raw, "u1").astype("?")
    array = np.frombuffer(raw, dtype).copy()  # any bits: payloads of NaN, subnormals, -0.0
    return array if dtype.isnative else array.astype("f8")


@st.composite
def _nullable(draw: Any, size: int) -> Any:
    dtype = draw(st.sampled_from(_NULLABLE))
    kind = bool if dtype == "boolean" else int
    array = pd.array([kind(0)] * size, dtype=dtype)
    for i, cell in enumerate(draw(st.lists(st.sampled_from([None, 0, 1]), **_of(size)))):
        array[i] = pd.NA if cell is None else kind(cell)
    return array


@st.composite
def _times(draw: Any, size: int) -> Any:
    kind, unit, zone = draw(st.sampled_from("Mm")), draw(_UNITS), draw(_ZONES)
    stamps = np.array(draw(st.lists(_STAMPS, **_of(size))), "i8")
    if kind == "m":
        return stamps.view(f"m8[{unit}]")
    if zone is None:
        return stamps.view(f"M8[{unit}]")
    stamps = np.where(stamps == np.iinfo("i8").min, stamps, stamps % 10**9)
    return pd.DatetimeIndex(stamps.view(f"M8[{unit}]")).tz_localize("UTC").tz_convert(zone).array


@st.composite
def _strings(draw: Any, size: int) -> Any:
    text = st.text(max_size=8) | st.none()
    dtype = draw(st.sampled_from(_STRINGS))
    return pd.Series(_objects(draw(st.lists(text, **_of(size)))), dtype=dtype)._values


@st.composite
def _categories(draw: Any, size: int) -> Any:
    labels = draw(
        st.lists(st.text(max_size=3), unique=True, max_size=5)
        | st.lists(st.integers(-5, 5), unique=True, max_size=5)
        | st.lists(st.dates().map(pd.Timestamp), unique=True, max_size=3)
    )
    codes = draw(st.lists(st.integers(-1, len(labels) - 1), **_of(size)))
    return pd.Categorical.from_codes(codes, pd.Index(labels), ordered=draw(st.booleans()))


@st.composite
def _arrow(draw: Any, size: int) -> Any:
    kind, cells = draw(
        st.sampled_from(
            [
                (pa.int16(), st.integers(0, 9)),
                (pa.string(), st.text(max_size=3)),
                (pa.list_(pa.int8()), st.lists(st.integers(0, 9) | st.none(), max_size=3)),
                (pa.struct([("a", pa.float64())]), st.fixed_dictionaries({"a": st.floats()})),
                (pa.dictionary(pa.int8(), pa.string()), st.sampled_from("abc")),
                (pa.timestamp("us", "UTC"), st.integers(0, 10**9)),
            ]
        )
    )
    values = draw(st.lists(cells | st.none(), **_of(size)))
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, kind)]))


def _of(size: int) -> dict[str, int]:
    return {"min_size": size, "max_size": size}


def _columns(size: int) -> st.SearchStrategy[Any]:
    objects = st.lists(_CELLS, **_of(size)).map(_objects)
    kinds = (_numbers, _nullable, _times, _strings, _categories, _arrow)
    return st.one_of(*(kind(size) for kind in kinds), objects)


def _series(values: Any, index: Any = None, name: Any = None) -> pd.Series:
    return pd.Series(values, index=index, name=name, dtype=values.dtype)


@st.composite
def _indexes(draw: Any, size: int) -> pd.Index:
    name = draw(st.none() | _TEXT | st.integers() | st.tuples(st.text(max_size=2), st.integers()))
    kind = draw(st.sampled_from(["range", "freq", "multi", "any"]))
    if kind == "range":
        start, step = draw(st.integers(-5, 5)), draw(st.sampled_from([-2, 1, 3]))
        return pd.RangeIndex(start, start + size * step, step, name=name)
    if kind == "freq":
        freq = draw(st.sampled_from(["D", "2h", "ME", "B", "W-TUE", "15min"]))
        return pd.date_range("2024-03-30", periods=size, freq=freq, tz=draw(_ZONES), name=name)
    if kind == "multi":
        arrays = [draw(_indexable(size)) for _ in range(draw(st.integers(1, 3)))]
        index = pd.MultiIndex.from_arrays(arrays)
        return index.set_names([name, *index.names[1:]])
    return draw(_indexable(size)).rename(name)


def _indexable(size: int) -> st.SearchStrategy[pd.Index]:
    kinds = (_nullable(size), _times(size), _strings(size), _categories(size))
    numbers = st.lists(st.floats() | st.integers(-9, 9), **_of(size)).map(np.array)
    return st.one_of(*kinds, numbers.map(lambda a: a.astype("f8"))).map(
        lambda values: pd.Index(values, dtype=values.dtype, tupleize_cols=False)
    )


_LABELS = (
    st.lists(_TEXT | st.sampled_from(["a", "a", "value", "__index_level_0__"]), max_size=5)
    | st.lists(st.integers(-3, 3), max_size=5)
    | st.lists(st.none() | st.text(max_size=2) | st.integers() | st.tuples(st.text()), max_size=5)
)


@st.composite
def _frames(draw: Any) -> pd.DataFrame:
    size = draw(st.integers(0, 6))
    labels = draw(_LABELS)
    index = draw(_indexes(size))
    columns = {i: _series(draw(_columns(size)), index) for i in range(len(labels))}
    frame = pd.DataFrame(columns, index=index)
    frame.columns = pd.Index(labels, tupleize_cols=False)
    frame.attrs = draw(st.just({}) | st.dictionaries(st.text(max_size=3), _JSON, max_size=2))
    step = draw(st.sampled_from([None, 1, 2, -1]))
    return frame if step is None else frame.iloc[::step]


def _goes_round(store: ObjectStore, value: Any) -> Any:
    view = store.at(namespace="tests", run="properties")
    view.put("x", value)
    actual = view.get("x")
    assert_same(value, actual)
    return actual


def _stays(store: ObjectStore, value: Any) -> None:
    assert_same(value, store.at(namespace="tests", run="properties").get("x"))


@given(frame=_frames())
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


@given(data=st.data(), size=st.integers(0, 6))
def test_series(store: ObjectStore, data: Any, size: int) -> None:
    """A series comes back the same, whatever its values, index and name."""
    name = data.draw(st.none() | _TEXT | st.integers() | st.floats())
    _goes_round(store, _series(data.draw(_columns(size)), data.draw(_indexes(size)), name))


@given(data=st.data(), size=st.integers(0, 6))
def test_indexes(store: ObjectStore, data: Any, size: int) -> None:
    """An index alone comes back the same."""
    _goes_round(store, data.draw(_indexes(size)))


_SCALARS = st.one_of(
    npst.boolean_dtypes(),
    npst.integer_dtypes(endianness="?"),
    npst.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    npst.complex_number_dtypes(endianness="?", sizes=(64, 128)),
    npst.datetime64_dtypes(endianness="?"),
    npst.timedelta64_dtypes(endianness="?"),
    npst.byte_string_dtypes(max_len=5),
    npst.unicode_string_dtypes(endianness="?", max_len=5),
)
_DTYPES = (
    _SCALARS | npst.array_dtypes(_SCALARS, allow_subarrays=True) | npst.nested_dtypes(_SCALARS)
)
_SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@st.composite
def _arrays(draw: Any) -> Any:
    dtype = draw(_DTYPES)
    dtype = dtype.base  # an array has no subarray of its own
    array = draw(npst.arrays(dtype, draw(_SHAPES), fill=st.nothing()))
    layout = draw(st.sampled_from(["C", "F", "turned", "strided"]))
    if layout == "strided" and array.ndim:
        return array[::-2]
    return {"F": np.asfortranarray, "turned": np.transpose}.get(layout, np.asarray)(array)


@given(array=_arrays())
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


@given(value=_JSON)
def test_plain_python(store: ObjectStore, value: Any) -> None:
    """JSON-like values come back the same, text with surrogates included."""
    _goes_round(store, value)


@given(value=_JSON)
def test_json_files(store: ObjectStore, value: Any) -> None:
    """A .json holds a value exactly or refuses it."""
    view = store.at(namespace="tests", run="properties")
    try:
        view.put("x.json", value)
    except UnsupportedValueError:
        return
    assert_same(value, view.get("x.json"))


@given(value=st.binary() | st.binary().map(bytearray) | _TEXT)
def test_bytes_and_text(store: ObjectStore, value: Any) -> None:
    """bytes, bytearray and str come back the same."""
    _goes_round(store, value)


@given(frame=_frames())
def test_parquet_files(store: ObjectStore, frame: pd.DataFrame) -> None:
    """A .parquet holds a frame exactly or refuses it."""
    view = store.at(namespace="tests", run="properties")
    try:
        view.put("x.parquet", frame)
    except UnsupportedValueError:
        return
    assert_same(frame, view.get("x.parquet"))

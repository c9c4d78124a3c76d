"""Strategies for what pandas and NumPy can hold: columns, indexes, labels, frames, and arrays."""

import datetime as dt
import zoneinfo
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

_UNITS = st.sampled_from(["s", "ms", "us", "ns"])
_ZONES = st.sampled_from(
    [
        *(None, dt.UTC, dt.timezone(dt.timedelta(hours=-3))),
        *map(zoneinfo.ZoneInfo, ("UTC", "Asia/Kolkata", "America/New_York")),
    ]
)
_STAMPS = st.integers(-(2**61), 2**61) | st.just(np.iinfo("i8").min)  # NaT
TEXT = st.text(st.characters(codec=None), max_size=8)  # surrogates, too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
_CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | TEXT
    | st.binary(max_size=4)
    | st.sampled_from([pd.NA, pd.NaT, pd.Timestamp("2024-01-01", tz="UTC"), dt.date(2024, 1, 1)])
    | st.tuples(st.integers())
    | st.dictionaries(st.text(max_size=2), st.none(), max_size=2)
)
_HASHABLE = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from([pd.NaT, dt.date(2024, 1, 1), Decimal("1.5"), pd.Timestamp("2024-01-01")])
    | st.tuples(st.integers(0, 2), st.text(max_size=1))
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
_NULLABLE = (
    *(f"{sign}{bits}" for sign in ("Int", "UInt") for bits in (8, 16, 32, 64)),
    *("Float32", "Float64", "boolean"),
)
_STRINGS: tuple[Any, ...] = ("str", "string[python]", "string[pyarrow]", "object")
if not pd.__version__.startswith("2."):
    _STRINGS += tuple(pd.StringDtype(storage, np.nan) for storage in ("python", "pyarrow"))
_NAT = np.iinfo("i8").min


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
    categories = pd.Index(labels).unique()  # to pandas some texts are one up to a NUL
    codes = draw(st.lists(st.integers(-1, len(categories) - 1), **_of(size)))
    return pd.Categorical.from_codes(codes, categories, ordered=draw(st.booleans()))


_FLAT = [
    (pa.int16(), st.integers(0, 9)),
    (pa.bool_(), st.booleans()),
    (pa.float32(), st.floats(width=32)),
    (pa.decimal128(9, 2), st.integers(-9, 9).map(Decimal)),
    (pa.date32(), st.dates()),
    (pa.time64("us"), st.times()),
    (pa.duration("ms"), st.integers(0, 10**9)),
    (pa.timestamp("us", "UTC"), st.integers(0, 10**9)),
    (pa.binary(), st.binary(max_size=3)),
    (pa.string(), st.text(max_size=3)),
    (pa.large_string(), st.text(max_size=3)),
]
_NESTED = [
    (pa.list_(pa.int8()), st.lists(st.integers(0, 9) | st.none(), max_size=3)),
    (pa.struct([("a", pa.float64())]), st.fixed_dictionaries({"a": st.floats()})),
    (pa.dictionary(pa.int8(), pa.string()), st.sampled_from("abc")),
]


@st.composite
def _flat_arrow(draw: Any, size: int, kinds: Any = _FLAT) -> Any:
    kind, cells = draw(st.sampled_from(kinds))
    values = draw(st.lists(cells | st.none(), **_of(size)))
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, kind)]))


def _arrow(size: int) -> st.SearchStrategy[Any]:
    return _flat_arrow(size, _FLAT + _NESTED)


def _of(size: int) -> dict[str, int]:
    return {"min_size": size, "max_size": size}


@st.composite
def _periods(draw: Any, size: int) -> Any:
    freq = draw(st.sampled_from(["D", "M", "Q-NOV", "Y", "h", "W-SUN", "ms"]))
    ordinals = draw(st.lists(st.integers(-(10**4), 10**4) | st.just(_NAT), **_of(size)))
    return pd.arrays.PeriodArray(np.array(ordinals, "i8"), dtype=pd.PeriodDtype(freq))


@st.composite
def _intervals(draw: Any, size: int) -> Any:
    pairs = st.tuples(st.integers(-9, 0), st.integers(0, 9))
    ends = draw(st.lists(pairs, **_of(size)))
    left, right = (np.array([pair[i] for pair in ends], "i8") for i in (0, 1))
    kind = draw(st.sampled_from(["ints", "floats", "times", "zoned"]))
    if kind == "floats":
        missing = np.array(draw(st.lists(st.booleans(), **_of(size))), "?")
        left, right = (np.where(missing, np.nan, side / 2) for side in (left, right))
    elif kind != "ints":
        zone = "Europe/Paris" if kind == "zoned" else None
        left, right = (pd.to_datetime(side, unit="D").tz_localize(zone) for side in (left, right))
    closed = draw(st.sampled_from(["left", "right", "both", "neither"]))
    return pd.arrays.IntervalArray.from_arrays(left, right, closed)


@st.composite
def _sparse(draw: Any, size: int) -> Any:
    cells, fill = draw(
        st.sampled_from(
            [
                (st.sampled_from([0.0, 1.5, float("nan")]), 0.0),
                (st.sampled_from([0.0, 1.5, float("nan")]), float("nan")),
                (st.sampled_from([0, 7]), 7),
                (st.booleans(), False),
            ]
        )
    )
    kind = draw(st.sampled_from(["integer", "block"]))
    dtype = {float: "f8", int: "i8", bool: "?"}[type(fill)]
    values = np.array(draw(st.lists(cells, **_of(size))), dtype)
    return pd.arrays.SparseArray(values, fill_value=fill, kind=kind)


_INDEXABLE = (
    *(_numbers, _nullable, _times, _strings, _categories, _flat_arrow),
    *(_periods, _intervals),
)
_KINDS = (*_INDEXABLE, _arrow, _sparse)


def values(size: int) -> st.SearchStrategy[Any]:
    """Give the values of a column, of any dtype."""
    objects = st.lists(_CELLS, **_of(size)).map(_objects)
    return st.one_of(*(kind(size) for kind in _KINDS), objects)


def series_of(values: Any, index: Any = None, name: Any = None) -> pd.Series:
    """Give a series of these values, whose dtype pandas is not to guess."""
    return pd.Series(values, index=index, name=name, dtype=values.dtype)


_NAMES = st.none() | TEXT | st.integers() | st.tuples(st.text(max_size=2), st.integers())


@st.composite
def indexes(draw: Any, size: int) -> pd.Index:
    """Give an index of any class."""
    name = draw(_NAMES)
    kind = draw(st.sampled_from(["range", "times", "spans", "periods", "multi", "any", "mixed"]))
    if kind == "range":
        start, step = draw(st.integers(-5, 5)), draw(st.sampled_from([-2, 1, 3]))
        return pd.RangeIndex(start, start + size * step, step, name=name)
    if kind == "times":
        freq = draw(st.sampled_from(["D", "2h", "ME", "B", "W-TUE", "15min"]))
        return pd.date_range("2024-03-30", periods=size, freq=freq, tz=draw(_ZONES), name=name)
    if kind == "spans":
        return pd.timedelta_range("1D", periods=size, freq=draw(st.sampled_from(["D", "7min"])))
    if kind == "periods":
        freq = draw(st.sampled_from(["M", "D", "2h", "W-TUE"]))
        return pd.period_range("2024-03-30", periods=size, freq=freq, name=name)
    if kind == "multi":
        arrays = [draw(_indexable(size)) for _ in range(draw(st.integers(1, 3)))]
        try:
            index = pd.MultiIndex.from_arrays(arrays)
        except ValueError:  # pandas now takes two complex NaN for one, and now for two
            reject()
        return index.set_names([name, *index.names[1:]])
    if kind == "mixed":
        cells = _objects(draw(st.lists(_HASHABLE, **_of(size))))
        return pd.Index(cells, dtype=object, tupleize_cols=False, name=name)
    return draw(_indexable(size)).rename(name)


def _indexable(size: int) -> st.SearchStrategy[pd.Index]:
    return st.one_of(*(kind(size) for kind in _INDEXABLE)).map(_index_of)


def _index_of(values: Any) -> pd.Index:
    if values.dtype == "f2":
        values = values.astype("f4")  # pandas has no index of half floats
    return pd.Index(values, dtype=values.dtype, tupleize_cols=False)


_LABELS = (
    st.lists(TEXT | st.sampled_from(["a", "a", "value", "__index_level_0__"]), max_size=5)
    | st.lists(st.integers(-3, 3), max_size=5)
    | st.lists(_HASHABLE, max_size=5)
)


@st.composite
def _labels(draw: Any) -> pd.Index:
    if draw(st.booleans()):
        return draw(indexes(draw(st.integers(0, 4))))
    labels = draw(_LABELS)
    surrogates = any(isinstance(label, str) and not _encodable(label) for label in labels)
    dtype = object if surrogates else None  # Arrow's strings cannot hold them
    return pd.Index(labels, dtype=dtype, tupleize_cols=False, name=draw(_NAMES))


def _encodable(label: str) -> bool:
    return label == label.encode(errors="replace").decode()


class Measured(pd.DataFrame):
    """A subclass that carries something along."""

    _metadata = ["station"]  # noqa: RUF012 - pandas wants a list

    @property
    def _constructor(self) -> Any:
        return Measured


_ATTRS = (
    st.just({})
    | st.dictionaries(st.text(max_size=3), JSON, max_size=2)
    | st.just({"unit": ("m", 1), 2: {3}})
)


@st.composite
def frames(draw: Any) -> pd.DataFrame:
    """Give a frame of any columns, index, labels, attrs, flags and layout in memory."""
    size = draw(st.integers(0, 6))
    labels = draw(_labels())
    index = draw(indexes(size))
    columns = {i: series_of(draw(values(size)), index) for i in range(len(labels))}
    frame = pd.DataFrame(columns, index=index)
    frame.columns = labels
    frame = frame.iloc[:: draw(st.sampled_from([1, 1, 2, -1]))]
    if draw(st.integers(0, 9)) == 0:
        frame = Measured(frame)
        frame.station = draw(st.text())
    frame.attrs = draw(_ATTRS)
    if frame.index.is_unique and frame.columns.is_unique and draw(st.booleans()):
        frame = frame.set_flags(allows_duplicate_labels=False)
    return frame


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
def arrays(draw: Any) -> Any:
    """Give an array of any dtype without objects, any shape and order."""
    dtype = draw(_DTYPES)
    dtype = dtype.base  # an array has no subarray of its own
    array = draw(npst.arrays(dtype, draw(_SHAPES), fill=st.nothing()))
    layout = draw(st.sampled_from(["C", "F", "turned", "strided"]))
    if layout == "strided" and array.ndim:
        return array[::-2]
    return {"F": np.asfortranarray, "turned": np.transpose}.get(layout, np.asarray)(array)

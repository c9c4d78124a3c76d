"""pyarrow's tables, batches and arrays, of every type."""

import contextlib
import datetime as dt
import decimal
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.errors import UnsupportedValueError
from runstore.testing import CodecTests, assert_same

_NAN = float("nan")
_DAY = dt.date(2024, 2, 29)
_MOMENT = dt.datetime(2024, 2, 29, 12, 30)
_STRUCT = pa.struct([pa.field("a", pa.int32(), nullable=False), pa.field("b", pa.string())])
_DICT = pa.dictionary(pa.int8(), pa.string())


def _arrays() -> dict[str, pa.Array]:
    numbers = pa.array([1, None, 3, 4])
    words = pa.array(["b", "a", None, "b"])
    return {
        "null": pa.nulls(3),
        "bool": pa.array([True, None, False]),
        **{
            f"int {kind}": pa.array([1, None, 3], kind)
            for kind in (pa.int8(), pa.uint16(), pa.int32(), pa.uint64())
        },
        "half": pa.array([1.5, None], pa.float16()),
        "float": pa.array([1.0, _NAN, None, -0.0, float("inf")]),
        "string": words,
        "large string": words.cast(pa.large_string()),
        "string view": words.cast(pa.string_view()),
        "binary": pa.array([b"\xff", None, b""]),
        "binary view": pa.array([b"\xff" * 40, None, b""], pa.binary_view()),
        "fixed binary": pa.array([b"ab", None], pa.binary(2)),
        "date32": pa.array([_DAY, None]),
        "date64": pa.array([_DAY, None], pa.date64()),
        "time": pa.array([dt.time(1, 2), None], pa.time64("ns")),
        "timestamp": pa.array([_MOMENT, None], pa.timestamp("s")),
        "zoned": pa.array([_MOMENT, None], pa.timestamp("ns", "Europe/Paris")),
        "offset": pa.array([_MOMENT, None], pa.timestamp("us", "+05:30")),
        "duration": pa.array([dt.timedelta(1), None], pa.duration("ms")),
        "interval": pa.array([pa.MonthDayNano([1, 2, 3]), None]),
        "decimal": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(10, 2)),
        "decimal256": pa.array([decimal.Decimal("1.50"), None], pa.decimal256(60, 2)),
        "decimal32": pa.array([decimal.Decimal("1.50"), None], pa.decimal32(5, 2)),
        "list": pa.array([[1], None, [], [2, None]]),
        "large list": pa.array([[1], None, []], pa.large_list(pa.int8())),
        "list view": pa.array([[1], None, []], pa.list_view(pa.int8())),
        "fixed list": pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
        "struct": pa.array([{"a": 1, "b": None}, None], _STRUCT),
        "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        "dictionary": words.dictionary_encode(),
        "ordered dictionary": pa.DictionaryArray.from_arrays(
            pa.array([1, None, 0], pa.int16()), ["z", "a", "unused"], ordered=True
        ),
        "null in the dictionary": pa.DictionaryArray.from_arrays([0, 1, None], ["a", None]),
        "list of dictionary": pa.array([["a"], None, ["b", "a"]], pa.list_(_DICT)),
        "struct of dictionary": pa.StructArray.from_arrays([words.dictionary_encode()], ["a"]),
        "dense union": pa.UnionArray.from_dense(
            pa.array([0, 1, 0], pa.int8()),
            pa.array([0, 0, 1], pa.int32()),
            [pa.array([1, 2]), pa.array(["a"])],
        ),
        "sparse union": pa.UnionArray.from_sparse(
            pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
        ),
        "run ends": pa.RunEndEncodedArray.from_arrays([2, 5], ["a", None]),
        "uuid": pa.array([uuid.UUID(int=1).bytes, None], pa.uuid()),
        "tensors": pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.int8(), [2, 2]),
            pa.array([[1, 2, 3, 4]], pa.list_(pa.int8(), 4)),
        ),
        "sliced": numbers[1:3],
        "sliced bits": pa.array([True, False] * 9)[3:12],
        "sliced strings": words[1:],
        "sliced dictionary": words.dictionary_encode()[2:],
        "sliced struct": pa.array([{"a": i, "b": str(i)} for i in range(5)], _STRUCT)[2:4],
        "sliced list": pa.array([[1], [2, 3], [4]])[1:],
        "sliced run ends": pa.RunEndEncodedArray.from_arrays([2, 5], ["a", "b"])[1:4],
        "empty": pa.array([], pa.int64()),
        "empty dictionary": words.dictionary_encode()[:0],
        "empty null": pa.nulls(0),
        "empty uuid": pa.array([], pa.uuid()),
    }


def _tables() -> dict[str, Any]:
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    words = pa.array(["b", "a"]).dictionary_encode()
    schema = pa.schema(
        [
            pa.field("a", pa.int64(), nullable=False, metadata={"unit": "m"}),
            pa.field("b", pa.string()),
        ],
        metadata={"k": "v", b"\xff": b"\x00"},
    )
    return {
        "table": table,
        "schema metadata": table.cast(schema),
        "no rows": schema.empty_table(),
        "no columns": pa.table({}),
        "repeated names": pa.Table.from_arrays([[1], [2]], names=["a", "a"]),
        "odd names": pa.table({"": [1], "a.b": [2], "é": [3], "runstore.body": [4]}),
        "several chunks": pa.concat_tables([table, table.slice(1), table.slice(0, 0)]),
        "one dictionary in chunks": pa.table({"a": pa.chunked_array([words, words])}),
        "sliced table": pa.concat_tables([table, table]).slice(2, 3),
        "batch": table.to_batches()[0],
        "batch of no rows": table.to_batches()[0].slice(0, 0),
        "batch of nothing": pa.RecordBatch.from_arrays([], names=[]),
        "sliced batch": table.to_batches()[0].slice(1, 1),
        "all types": pa.Table.from_arrays(
            [a.slice(0, 1) for a in _arrays().values() if len(a)],
            names=[name for name, a in _arrays().items() if len(a)],
        ),
        "chunked": pa.chunked_array([[1, None], [], [3]]),
        "chunked without chunks": pa.chunked_array([], pa.string()),
        "chunked uuid": pa.chunked_array([pa.array([uuid.UUID(int=2).bytes], pa.uuid())]),
    }


class _Celsius(pa.ExtensionType):
    def __init__(self) -> None:
        super().__init__(pa.float64(), "tests.celsius")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: Any, data: bytes) -> "_Celsius":
        return cls()


def _celsius(degrees: list[float]) -> pa.Array:
    return pa.ExtensionArray.from_storage(_Celsius(), pa.array(degrees))


_NEW_TO_POLARS = (
    {"decimal32", "list view", "dense union", "sparse union", "run ends", "sliced run ends"}
    | {"interval", "map", "all types", "repeated names", "half", "null in the dictionary"}
    | {"decimal256", "list of dictionary", "fixed list", "tensors", "batch of nothing"}
    | {"no columns", "offset"}
)
with contextlib.suppress(ImportError):
    import polars

    if not hasattr(polars, "BaseExtension"):
        _NEW_TO_POLARS |= {"uuid", "empty uuid", "chunked uuid", "extension"}

_NEW_TO_PANDAS = {"interval", "dense union", "sparse union", "null in the dictionary", "all types"}


class TestArrow(CodecTests):
    codec = "arrow"
    zero_copy = True

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        return {"polars": _NEW_TO_POLARS, "pandas": _NEW_TO_PANDAS}

    @classmethod
    def values(cls) -> dict[str, Any]:
        return _tables() | _arrays()

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        one, other = (pa.array(words).dictionary_encode() for words in (["a", "b"], ["c", "a"]))
        nested = [pa.array([[word]], pa.list_(_DICT)) for word in "ab"]
        return {
            "a dictionary per chunk": pa.chunked_array([one, other]),
            "a dictionary per chunk, in a table": pa.table({"a": pa.chunked_array([one, other])}),
            "a dictionary of dictionaries": pa.DictionaryArray.from_arrays([0, 1], one),
            "a dictionary of structs of dictionaries": pa.DictionaryArray.from_arrays(
                [0, 0], pa.StructArray.from_arrays([one], ["a"])
            ),
            "nested dictionaries in chunks": pa.chunked_array(nested),
            "an extension nobody registered": _celsius([1.5]),
            "an extension inside": pa.ListArray.from_arrays([0, 1], _celsius([1.5])),
        }

    @classmethod
    def large(cls) -> Any:
        return pa.table({"a": pa.array(range(1 << 19)), "b": pa.array(["some text"] * (1 << 19))})


def test_a_table_without_batches_is_a_part_like_any_other() -> None:
    """Also of types of which pyarrow itself makes no empty table."""
    union = pa.dense_union([pa.field("a", pa.int8())])
    types = [*(array.type for array in _arrays().values()), pa.list_(pa.uuid()), pa.list_(union)]
    schema = pa.schema([pa.field(str(i), kind) for i, kind in enumerate(types)])
    table = pa.Table.from_batches([], schema)
    store = ObjectStore("memory://codecs", pickle="deny").at(namespace="tests", run="arrow")
    store.put("x", {"parts": [table]})
    assert_same(table, store.get("x")["parts"][0])


@pytest.mark.parametrize("name", TestArrow.inexact())
def test_what_is_declined_is_pickled(name: str) -> None:
    """What the codec declines comes back by pickle all the same."""
    store = ObjectStore("memory://codecs").at(namespace="tests", run="arrow")
    value = TestArrow.inexact()[name]
    store.put("x", value)
    assert_same(value, store.get("x"))


@pytest.mark.parametrize("kind", [pa.table, pa.record_batch])
def test_rows_without_columns_are_refused(kind: Any) -> None:
    """Not even pickle keeps how many rows there are, so nothing is stored."""
    store = ObjectStore("memory://codecs").at(namespace="tests", run="arrow")
    with pytest.raises(UnsupportedValueError, match="2 rows"):
        store.put("refused", kind({"a": [1, 2]}).select([]))
    assert not store.exists("refused")


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_is_the_same(compression: str) -> None:
    """Compression changes the size and nothing else."""
    store = ObjectStore("memory://codecs").at(namespace="tests", run="arrow")
    for value in TestArrow.values().values():
        store.put("x", value, compression=compression)
        assert_same(value, store.get("x"))


@pytest.fixture
def registered() -> Iterator[None]:
    pa.register_extension_type(_Celsius())
    yield
    pa.unregister_extension_type("tests.celsius")


def test_registered_extensions_are_kept(registered: None) -> None:
    """A registered extension type comes back as itself, without pickle."""
    suite = TestArrow()
    value = _celsius([1.5])
    assert_same(value, suite.read(suite.written(value, "deny"), "deny"))


def test_an_extension_may_be_registered_after_a_value_was_declined() -> None:
    """What was found before it was registered does not count any more, nor what was after."""
    suite, value = TestArrow(), _celsius([1.5])
    assert suite.encode(value) is None
    pa.register_extension_type(_Celsius())
    try:
        assert_same(value, suite.read(suite.written(value, "deny"), "deny"))
    finally:
        pa.unregister_extension_type("tests.celsius")
    assert suite.encode(value) is None


def test_extension_must_be_registered_to_read(registered: None) -> None:
    """Where the extension is unknown, the error names it; its storage is not passed off as it."""
    suite = TestArrow()
    stored = suite.written(pa.table({"a": _celsius([1.5])}))
    pa.unregister_extension_type("tests.celsius")
    try:
        with pytest.raises(UnsupportedValueError, match=r"tests\.celsius"):
            suite.read(stored)
    finally:
        pa.register_extension_type(_Celsius())


class TestScalars(CodecTests):
    codec = "arrow"

    @classmethod
    def values(cls) -> dict[str, Any]:
        arrays = _arrays()
        return {
            f"{name}, {which}": array[at]
            for name, array in arrays.items()
            for which, at in (("first", 0), ("last", -1))
            if len(array)
        }

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        new = {"polars": _NEW_TO_POLARS, "pandas": _NEW_TO_PANDAS}
        return {
            reader: {f"{name}, {which}" for name in names for which in ("first", "last")}
            for reader, names in new.items()
        }


class TestSchemas(CodecTests):
    codec = "arrow"

    @classmethod
    def values(cls) -> dict[str, Any]:
        return {
            "fields": pa.schema(
                [pa.field("a", pa.int8(), nullable=False, metadata={"k": "v"}), ("b", _DICT)],
                metadata={"x": "y"},
            ),
            "same names": pa.schema([("a", pa.int8()), ("a", pa.string())]),
            "nothing": pa.schema([]),
            "extension": pa.schema([("a", pa.uuid())]),
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        return {"dictionary of dictionary": pa.schema([("a", pa.dictionary(pa.int8(), _DICT))])}

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        return {"polars": {"same names"} | _NEW_TO_POLARS, "pandas": {"same names"}}

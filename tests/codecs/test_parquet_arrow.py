"""Arrow's own types in a ``.parquet``: labels, maps and others, exact where Parquet keeps less."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runstore import ObjectStore
from runstore.containers import _parquet_types
from runstore.containers._parquet import open_parquet
from runstore.containers._parquet_types import READS_MISSING_LISTS
from runstore.errors import UnsupportedFormatError, UnsupportedValueError
from runstore.testing import assert_same


def _arrow(values: list[Any], kind: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {"x": pd.Series(pa.array(values, kind).to_pandas(types_mapper=pd.ArrowDtype))}
    )


def _labelled(codes: list[Any], labels: Any, **more: Any) -> pd.DataFrame:
    column = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), labels, **more)
    return pd.DataFrame({"x": pd.arrays.ArrowExtensionArray(column)})


def _twice(labels: Any) -> pd.MultiIndex:
    codes = [[0, 1], [0, 0]]
    return pd.MultiIndex(levels=[labels, ["b"]], codes=codes, verify_integrity=False)


TAKEN: dict[str, Callable[[], Any]] = {
    "bytes of a length": lambda: _arrow([b"abc", None], pa.binary(3)),
    "lists of a length": lambda: _arrow([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)),
    "unknown": lambda: _arrow([1, None], pa.opaque(pa.int8(), "kind", "vendor")),
    "tensors": lambda: _arrow([[1, 2], [3, 4]], pa.fixed_shape_tensor(pa.int8(), (2,))),
    "labels of numbers": lambda: _arrow([7, None, 7], pa.dictionary(pa.uint8(), pa.int64())),
    "labels of days in the index": lambda: _labelled(
        [1, None], pa.array([7, 8], pa.date32()), ordered=True
    ).set_index("x", drop=False),
    "unused labels": lambda: _labelled([2, 1], [5, 4, 3]),
    "labels of text": lambda: _arrow(["a", None], pa.dictionary(pa.int8(), pa.string())),
    "maps": lambda: _arrow([[("a", 1)], None, []], pa.map_(pa.string(), pa.int8())),
    "repeated levels of labels": lambda: pd.DataFrame([[1, 2]], columns=_twice(["a", "a"])),
}


_TWO = pa.list_(pa.int8(), 2)
_MISSING: dict[str, Callable[[], Any]] = {
    "lists of a length, missing": lambda: _arrow([[1, 2], None], _TWO),
    "tensors, missing": lambda: _arrow([[1, 2], None], pa.fixed_shape_tensor(pa.int8(), (2,))),
    "in lists": lambda: _arrow([[[1, 2]], None, [], [None]], pa.list_(_TWO)),
    "in a struct that is missing": lambda: _arrow([{"l": [1, 2]}, None], pa.struct([("l", _TWO)])),
}
"""What pyarrow reads since version 26."""
if READS_MISSING_LISTS:
    TAKEN |= _MISSING


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "labels in lists": (
        lambda: _arrow([[1]], pa.list_(pa.dictionary(pa.int8(), pa.int64()))),
        "column 'x' of list<.*whose labels",
    ),
    "equal labels": (lambda: _labelled([1], [5, 5]), "column 'x' of .* equal"),
    "repeated levels": (
        lambda: pd.DataFrame({"x": [1, 2]}, index=_twice(["a", "a"])),
        "a MultiIndex with .* equal",
    ),
}


@pytest.fixture
def view(tmp_path: Path) -> Any:
    return ObjectStore(tmp_path, pickle="deny").at(namespace="n", run="r")


def _file(tmp_path: Path) -> Path:
    return tmp_path / "n" / "r" / "x.parquet"


@pytest.mark.parametrize("name", TAKEN)
def test_what_pandas_itself_cannot_write(name: str, view: Any, tmp_path: Path) -> None:
    """It comes back exactly, also without rows, and pyarrow reads the file."""
    value = TAKEN[name]()
    for some in (value, value[:0]):
        view.put("x.parquet", some)
        back = view.get("x.parquet")
        assert_same(some, back)
        assert list(map(str, some.dtypes)) == list(map(str, back.dtypes))  # names inside, too
        assert len(some) == pq.read_table(_file(tmp_path)).num_rows
    if name == "unused labels":
        view.put("x.parquet", value)
        read = view.get("x.parquet")["x"].array.__arrow_array__().combine_chunks()
        assert [5, 4, 3] == read.dictionary.to_pylist()


def test_looking_for_missing_lists_takes_every_type(monkeypatch):
    """In columns that Parquet refuses there are none to be found; in others there are."""
    monkeypatch.setattr(_parquet_types, "READS_MISSING_LISTS", False)
    parts = [pa.array([1]), pa.array(["a"])]
    first, offsets = pa.array([0], pa.int8()), pa.array([0], pa.int32())
    batch = pa.record_batch(
        {
            "runs": pa.RunEndEncodedArray.from_arrays([1], [1]),
            "dense": pa.UnionArray.from_dense(first, offsets, parts),
            "sparse": pa.UnionArray.from_sparse(first, parts),
        }
    )
    _parquet_types.check_lists(batch, "x")
    missing = pa.array([[None]], pa.list_(pa.list_(pa.int8(), 2)))
    with pytest.raises(UnsupportedValueError, match="'a' has missing lists"):
        _parquet_types.check_lists(pa.record_batch({"a": missing}), "x")


@pytest.mark.skipif(READS_MISSING_LISTS, reason="this pyarrow reads them: they are in TAKEN")
@pytest.mark.parametrize("name", _MISSING)
def test_what_an_older_arrow_cannot_read(name: str, view: Any, tmp_path: Path) -> None:
    """It is not stored, with the version that could read it; a file with it is not damaged."""
    value = _MISSING[name]()
    with pytest.raises(
        UnsupportedValueError, match=r"'x' has missing lists.*pyarrow \d+.*pyarrow 26"
    ):
        view.put("x.parquet", value)
    _file(tmp_path).parent.mkdir(parents=True)
    pq.write_table(pa.table({"x": value["x"].array.__arrow_array__()}), _file(tmp_path))
    with pytest.raises(UnsupportedFormatError, match=r"pyarrow \d+.*does not know"):
        view.get("x.parquet")


def test_names_inside_of_maps(view: Any) -> None:
    """As they were, wherever a map is: Arrow's reader names its entries after the column."""
    kind = pa.map_(pa.string(), pa.int8())
    cells = [[("a", 1)], None, []]
    table = pa.table(
        {
            "m": pa.array(cells, kind),
            "list": pa.array([[cell] for cell in cells], pa.list_(kind)),
            "struct": pa.array([{"s": cell} for cell in cells], pa.struct([("s", kind)])),
            "t": pa.array([1, 2, None], pa.timestamp("s")),
        }
    )
    view.put("x.parquet", table)
    back = view.get("x.parquet")
    assert table.equals(back)
    assert str(table.schema) == str(back.schema)
    part = view.get("x.parquet", columns=["t", "list"])
    assert str(table.schema.field("list").type) == str(part.schema.field("list").type)


@pytest.mark.parametrize("name", REFUSED)
def test_what_parquet_would_change_is_named(name: str, view: Any) -> None:
    """The part, the reason and the way out."""
    make, said = REFUSED[name]
    with pytest.raises(UnsupportedValueError, match=f"n/r/x.parquet.*{said}.* without .parquet"):
        view.put("x.parquet", make())


def test_a_mistake_of_our_own_is_no_refusal(view: Any, monkeypatch: Any) -> None:
    """Only what a library raises is said of the value."""
    from runstore.codecs import _parquet_pandas

    def broken(value: Any) -> Any:
        raise AttributeError("a bug")

    monkeypatch.setattr(_parquet_pandas, "_index_for", broken)
    with pytest.raises(AttributeError, match="a bug"):
        view.put("x.parquet", pd.DataFrame({"x": [1]}))


def test_labels_in_lists_differ_from_one_row_group_to_the_next(view: Any, tmp_path: Path) -> None:
    """In chunks of a table, in a file as earlier versions wrote it; checked and read."""
    parts = [
        pa.ListArray.from_arrays([0, 1, 2], pa.array([*labels]).dictionary_encode())
        for labels in ("ab", "cd")
    ]
    table = pa.concat_tables([pa.table({"x": part}) for part in parts])
    view.put("x.parquet", table)
    assert table.combine_chunks().equals(view.get("x.parquet"))
    with pq.ParquetWriter(_file(tmp_path), table.schema, use_compliant_nested_type=False) as file:
        for part in parts:
            file.write_batch(pa.record_batch({"x": part}))
    with pytest.raises(pa.ArrowNotImplementedError):
        pq.ParquetFile(_file(tmp_path)).read()
    assert table.equals(view.get("x.parquet"))
    assert ["a", "b", "c", "d"] == view.get("x.parquet", as_type=pl.DataFrame)[
        "x"
    ].explode().to_list()
    opened = open_parquet(_file(tmp_path).read_bytes(), "x")
    opened.check_readable()
    assert table.to_pydict() == opened.batch(0).to_pydict()

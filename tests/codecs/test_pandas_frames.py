"""Whole pandas frames: labels, attributes, flags, layout in memory, and writing to the result."""

import datetime as dt
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runstore import ObjectStore
from runstore.testing import CodecTests, assert_same

_BLOCK = np.arange(20.0).reshape(5, 4)


def _renamed(*labels: Any, **options: Any) -> pd.DataFrame:
    values = [[i * 1.5 for i in range(len(labels))]] * 2
    return pd.DataFrame(values, columns=pd.Index(labels, tupleize_cols=False, **options))


def _attributed(**attrs: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1, 2]})
    frame.attrs = attrs
    return frame


def _wide() -> pd.DataFrame:
    frame = pd.DataFrame(_BLOCK, columns=list("abcd"))
    frame["e"] = ["x", "y", None, "", "z"]
    frame["f"] = pd.Categorical(["u", "v", "u", None, "v"])
    frame["g"] = pd.date_range("2024", periods=5)
    frame["h"] = np.arange(5, dtype="i4")
    frame["i"] = frame["a"] > 4
    frame["j"] = pd.array([1, None, 3, 4, 5], "Int64")
    return frame


class TestFrames(CodecTests):
    codec = "pandas"
    zero_copy = True

    @classmethod
    def values(cls) -> dict[str, Any]:
        wide = _wide()
        return {
            "one cell": pd.DataFrame({"a": [1]}),
            "of all kinds": wide,
            "F order": pd.DataFrame(np.asfortranarray(_BLOCK), columns=list("abcd")),
            "strided block": pd.DataFrame(_BLOCK[::2, ::-1], columns=list("abcd")),
            "transposed": pd.DataFrame(_BLOCK).T,
            "blocks in another order": wide[["h", "a", "g", "e", "d", "b"]],
            "rows of another": wide.iloc[1:4],
            "every other row": wide.iloc[::2],
            "rows backwards": wide.iloc[::-1],
            "rows by a mask": wide[wide["a"] > 4],
            "of several chunks": pd.concat([wide, wide.iloc[:0], wide], ignore_index=True),
            "labels twice": _renamed("a", "b", "a", "a.1"),
            "numbers as labels": _renamed(2, 0, 1),
            "text and index name": _renamed("a", "b", name="columns"),
            "odd labels": _renamed("", "a.b", "value", "index", "é", "a\0b", " ", "runstore.body"),
            "labels as ours": _renamed("__index_level_0__", "__index_level_1__").set_axis(
                [3, 4], axis="index"
            ),
            "no rows": wide.iloc[:0],
            "index without columns": pd.DataFrame(index=pd.Index(["a", "b"])),
            "index without rows": pd.DataFrame({"a": np.array([], "i2")}, index=wide["g"][:0]),
            "attrs": _attributed(unit="m", n=1, deep={"a": [1, None, True]}, nan=float("nan")),
            "no duplicates allowed": wide.set_flags(allows_duplicate_labels=False),
            "600 columns": pd.DataFrame(np.arange(1_200.0).reshape(2, -1)),
            "two types by turns": pd.DataFrame(
                {f"c{i}": np.arange(3, dtype="f4" if i % 2 else "i8") for i in range(9)}
            ),
            "longlong": pd.DataFrame({"a": np.arange(3), "b": np.arange(3, dtype="q")}),
            "objects": pd.DataFrame([[1, "a"], [2.5, None]], dtype=object),
            "many missing": pd.DataFrame({"a": pd.Series([1, *[None] * 999], dtype=object)}),
        } | _everyday()

    @classmethod
    def pickled(cls) -> dict[str, Any]:
        return {
            "some objects": pd.DataFrame({"a": [1.5, 2.5], "b": [(1, 2), NormalDist()]}),
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        return _left_to_pickle()

    @classmethod
    def large(cls) -> Any:
        frame = pd.DataFrame(np.zeros((1 << 17, 8), order="F"), columns=list("abcdefgh"))
        frame["i"] = pd.date_range("2024", periods=len(frame), freq="s")
        frame["j"] = pd.Categorical.from_codes(np.zeros(len(frame), "i1"), ["x", "y"])
        return frame

    def change(self, value: Any) -> bool:
        for i in range(min(20, value.shape[1])):
            if not len(value) or value.dtypes.iloc[i].kind == "O":
                return False
            value.iloc[0, i] = value.iloc[-1, i]
            if value.dtypes.iloc[i].kind == "f":
                value.iloc[:, i] += 1
        return True


class Celsius(pd.DataFrame):
    _metadata = ["station"]  # noqa: RUF012 - pandas wants a list

    @property
    def _constructor(self) -> Any:
        return Celsius


def _everyday() -> dict[str, Any]:
    return {
        "nothing": pd.DataFrame(),
        "nothing but rows": pd.DataFrame(index=pd.RangeIndex(3)),
        "complex labels, no rows": pd.DataFrame(columns=["a", "b"]).astype({"a": "c16"}),
        "mixed labels": _renamed(1, "1", dtype=object),
        "tuples as labels": _renamed(("a", 1), ("b", 2)),
        "no label": _renamed("a", None, dtype=object),
        "days as labels": _renamed(*pd.date_range("2024", periods=2)),
        "levels as labels": pd.DataFrame(
            [[1, 2]], columns=pd.MultiIndex.from_product([["a"], [1, 2]])
        ),
        "categories as labels": _renamed("a", "b").set_axis(
            pd.CategoricalIndex(["a", "b"]), axis=1
        ),
        "numbers and truths as labels": _renamed(True, False),
        "text of numpy as label": _renamed(np.str_("a"), dtype=object),
        "attrs that are no JSON": _attributed(when=dt.date(2024, 1, 1)),
        "attrs with other keys": _attributed(x={1: 2}),
    }


def _left_to_pickle() -> dict[str, Any]:
    subclass = Celsius({"a": [1, 2]})
    subclass.station = "JFK"  # type: ignore[attr-defined]
    return {
        "surrogate as label": _renamed("\ud800", dtype=object),
        "an array in attrs": _attributed(x=np.arange(2)),
        "long doubles, no rows": pd.DataFrame(columns=["a", "b"]).astype({"a": "g"}),
        "subclass": subclass,
        "no labels, of an Arrow type": pd.DataFrame(
            index=["a"], columns=pd.Index([], dtype="binary[pyarrow]")
        ),
    }


@pytest.fixture
def store() -> Any:
    return ObjectStore("memory://codecs").at(namespace="tests", run="frames")


@pytest.mark.parametrize("name", _left_to_pickle())
def test_what_is_declined_is_pickled(name: str, store: Any) -> None:
    """What the codec declines comes back by pickle all the same."""
    value = _left_to_pickle()[name]
    store.put("x", value)
    assert_same(value, store.get("x"))


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_is_the_same(compression: str, store: Any) -> None:
    """Compression changes the size and nothing else, and the result can be written to."""
    for value in (TestFrames.values() | TestFrames.pickled()).values():
        store.put("x", value, compression=compression)
        actual = store.get("x")
        assert_same(value, actual)
        TestFrames().change(actual)
        assert_same(value, store.get("x"))


@pytest.mark.parametrize(
    "value",
    [
        pd.Series([1, 2]),
        pd.Series([1, 2], name=("a", 1)),
        pd.Series([1, 2], name=1.5),
        pd.Series([1, 2], name=1 << 5000),
        pd.Series([1, 2], name="\ud83d\ude00"),
        pd.Series([], dtype=object, name="a"),
        pd.Series([1, 2]).set_flags(allows_duplicate_labels=False),
        pd.RangeIndex(5, name="r"),
        pd.Timestamp("2024-01-01", tz="Europe/Paris"),
        pd.NA,
        pd.NaT,
        pd.Timedelta(1, "s"),
        pd.array([1, None]),
    ],
    ids=repr,
)
def test_relatives_of_frames(value: Any, store: Any) -> None:
    """Series of any name, an index alone, scalars and arrays come back as they are."""
    store.put("x", value)
    if isinstance(value, pd.api.extensions.ExtensionArray):
        assert_same(pd.Series(value), pd.Series(store.get("x")))
    else:
        assert_same(value, store.get("x"))


def test_frames_are_of_few_blocks(store: Any) -> None:
    """Columns of one type that lie side by side become one block, so that row access is fast."""
    store.put("x", pd.DataFrame(np.zeros((100, 50))))
    assert 1 == len(store.get("x")._mgr.blocks)


def test_results_work_like_any_frame(store: Any) -> None:
    """pandas can do with the result what it can do with the original."""
    expected = TestFrames.values()["of all kinds"]
    store.put("x", expected)
    actual = store.get("x")
    for work in (
        lambda f: f.groupby("f", observed=True)["a"].sum(),
        lambda f: f.sort_values("e"),
        lambda f: pd.concat([f, f]),
        lambda f: f.set_index("g").loc["2024-01-02":],
        lambda f: f.fillna({"e": "?", "j": 0}),
        lambda f: f.iloc[2],
        lambda f: f[["a", "b"]].to_numpy().tolist(),
        lambda f: f.assign(k=1).drop(columns="b"),
    ):
        assert_same(work(expected), work(actual))
    actual.insert(0, "first", 1)
    del actual["c"]
    actual.loc[len(actual)] = actual.iloc[0]
    assert_same(expected, store.get("x"))


def test_labels_by_the_thousand_are_quick(store: Any) -> None:
    """One label for thousands of columns takes no longer than as many labels."""
    store.put("x", pd.DataFrame(np.zeros((1, 5_000)), columns=["same"] * 5_000))
    assert (1, 5_000) == store.get("x").shape


def test_labels_that_are_read_again_are_their_own() -> None:
    """Labels and categories that many frames have are made once, and each frame has its own."""
    view = ObjectStore("memory://labels").at(namespace="dev", run="r1")
    texts = pd.Categorical(["a", "b", "a"], ["b", "a"])
    frame = pd.DataFrame({"x": texts, "y": [1, 2, 3]}).rename_axis(columns="of")
    view.put("x", frame)
    for _ in range(3):
        back = view.get("x")
        assert_same(frame, back)
        back.columns.name = "other"
        back["x"].cat.categories.name = "kinds"
        back.columns = ["p", "q"]
        back["p"] = back["p"].cat.rename_categories({"a": "z"})
    view.put("y", frame.rename_axis(columns=None))
    assert view.get("y").columns.name is None
    view.put("z", frame.assign(x=frame["x"].cat.set_categories(["a", "b"])))
    assert ["a", "b"] == list(view.get("z")["x"].cat.categories)

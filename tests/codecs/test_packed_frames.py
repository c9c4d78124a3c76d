"""Many small frames of the same columns are one Arrow column, and come back exactly."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from runstore import ObjectStore
from runstore.codecs import Pickling, encode
from runstore.testing import CodecTests, assert_same

_MANY = 20


def _frames(make: Any, count: int = _MANY) -> list[Any]:
    return [make(i) for i in range(count)]


def _plain(i: int, rows: int = 3) -> Any:
    return pd.DataFrame({"a": range(i, i + rows), "b": [i / 3] * rows})


def _all_kinds(i: int) -> Any:
    return pd.DataFrame(
        {
            "truth": [i % 2 == 0, True],
            "small": np.array([i, 1], "i1"),
            "twin": np.array([i, 1], np.longlong),
            "time": pd.to_datetime(["2024-01-01", None]).as_unit("s"),
            "span": pd.to_timedelta([i, None], unit="s"),
            "text": [f"é{i}", None],
            "python": pd.array([f"é{i}", None], "string[python]"),
            "object": pd.Series([None, f"é{i}"], dtype=object),
            "nullable": pd.array([i, None], "Int16"),
            "nullable truth": pd.array([None, True], "boolean"),
        }
    )


def _indexed(i: int, index: Any) -> Any:
    return _plain(i).set_index(pd.Index(index, name="at"))


_WHOLE = pd.DataFrame({"a": np.arange(100.0), "b": [f"t{i}" for i in range(100)]})


class TestPackedFrames(CodecTests):
    codec = "packed"

    @classmethod
    def values(cls) -> dict[str, Any]:
        return {
            "plain": _frames(_plain),
            "of several lengths": _frames(lambda i: _plain(i, i % 4)),
            "all empty": _frames(lambda i: _plain(i, 0)),
            "kinds": _frames(_all_kinds),
            "by name": {f"f{i}": _plain(i) for i in range(_MANY)},
            "by number": {i: _plain(i) for i in range(_MANY)},
            "a tuple": tuple(_frames(_plain)),
            "in tuples": [(i, _plain(i)) for i in range(300)],
            "or None": [None if i % 3 == 0 else _plain(i) for i in range(300)],
            "pieces of one": _frames(lambda i: _WHOLE.iloc[i * 5 : i * 5 + 5]),
            "numbered columns": _frames(lambda i: pd.DataFrame(np.full((2, 3), i))),
            "labels of several types": _frames(lambda i: pd.DataFrame({"1": [i], 1: [i]})),
            "named labels": _frames(lambda i: _plain(i).rename_axis(columns="what")),
            "index of text": _frames(lambda i: _indexed(i, [f"r{i}", "s", "t"])),
            "index of numbers": _frames(lambda i: _indexed(i, [5, 7 + i * i, -1])),
            "index of times": _frames(
                lambda i: _indexed(i, pd.to_datetime(["2024-01-01", "2023-01-01", None]))
            ),
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        shared, plain = _plain(1), _frames(_plain)
        return {
            "few": _frames(_plain, 5),
            "other columns": [*plain, _plain(1).rename(columns={"a": "c"})],
            "more columns": [*plain, _plain(1).assign(c=1)],
            "other order": [*plain, _plain(1)[["b", "a"]]],
            "other dtype": [*plain, _plain(1).astype({"a": "i4"})],
            "twin dtype": [*plain, _plain(1).assign(a=np.array([1, 2, 3], np.longlong))],
            "other type of label": [
                *_frames(lambda i: pd.DataFrame({1: [i], "a": 1})),
                pd.DataFrame({True: [1], "a": 1}),
            ],
            "other kind of index": [*plain, _plain(1).set_index(pd.Index([3, 9, 5]))],
            "other name of index": [*plain, _plain(1).rename_axis("at")],
            "other step": [*plain, _plain(1, 6).iloc[::2]],
            "freq": _frames(lambda i: _indexed(i, pd.date_range("2024", periods=3))),
            "levels": _frames(lambda i: _plain(i).set_index(["a", "b"]).assign(c=1)),
            "attrs": [*plain, _with_attrs()],
            "no duplicates": [*plain, _plain(1).set_flags(allows_duplicate_labels=False)],
            "categories": _frames(lambda i: pd.DataFrame({"a": pd.Categorical([str(i)])})),
            "a frame twice": [*plain, shared, shared],
            "large": _frames(lambda i: _plain(i, 5000)),
            "no columns": _frames(lambda i: pd.DataFrame(index=range(i))),
        }  # fmt: skip

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        return {"polars": set()}

    def change(self, value: Any) -> bool:
        if type(value) is not list or type(value[0]) is not pd.DataFrame or not len(value[0]):
            return False
        value[0].iloc[0, 0] = value[0].iloc[-1, 0]
        return True


def _with_attrs() -> Any:
    frame = _plain(1)
    frame.attrs["source"] = "x"
    return frame


@pytest.fixture
def view(tmp_path: Any) -> Any:
    """Give a view on a disk."""
    return ObjectStore(tmp_path, pickle="deny").at(namespace="tests", run="packed")


def test_frames_are_apart(view: Any) -> None:
    """What is changed in one frame is in no other: values, labels and their names."""
    view.put("x", _frames(_plain))
    first, second, *others = view.get("x")
    first.loc[:, "b"] = 7.0
    first.iloc[0, 0] = -1
    first.columns.name = "mine"
    first.index.name = "mine"
    assert_same([_plain(i) for i in range(1, _MANY)], [second, *others])
    assert_same(_frames(_plain), view.get("x"))


def test_the_file_is_smaller_than_a_pickle(view: Any) -> None:
    """A frame takes the room of its values and an offset."""
    info = view.put("x", _frames(_plain, 1000))
    assert info.size < 1000 * (3 * 16 + 16) + 8192


def test_others_read_the_frames(view: Any, tmp_path: Any) -> None:
    """Another reader finds each frame as a list of rows."""
    view.put("x", _frames(_plain))
    frame = pl.read_ipc(next(tmp_path.rglob("x.arrow")))
    assert [{"a": i, "b": 0.0} for i in range(3)] == frame["item"][0].to_list()


def test_a_frame_in_two_places_is_one_again(view: Any) -> None:
    """A frame that stands twice in a value is one frame again."""
    frames = _frames(_plain)
    view.put("x", {"all": frames, "best": frames[3]})
    back = view.get("x")
    assert back["all"][3] is back["best"]
    assert_same(frames, back["all"])


@pytest.mark.parametrize("change", ["columns", "labels", "index", "pickle"])
def test_forged_descriptions_are_refused(change: str) -> None:
    """Frames that do not fit what is said of them are damage."""
    from runstore.codecs._trial import _Written
    from runstore.errors import CorruptObjectError

    codec, encoded = encode(_frames(_plain), Pickling("deny", "x"))
    spec = encoded.spec["columns"][0]
    if change == "columns":
        spec["columns"].pop()
    elif change == "labels":
        spec["labels"]["values"].append("c")
    elif change == "index":
        spec["index"] = {"k": "flat", "values": {"k": "np"}, "name": None}
    else:
        spec["columns"][0] = {"k": "pickle"}
    with pytest.raises(CorruptObjectError, match="damaged"):
        codec.decode(_Written(encoded), encoded.spec, Pickling("deny", "x"))

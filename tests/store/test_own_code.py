"""Whatever code of a value's own raises inside put reaches the caller as an error of ours."""

import collections
import datetime

import numpy as np
import pandas as pd
import pytest

from runstore.errors import RunStoreError


class OwnError(Exception):
    """Raised by the classes below, by nothing else."""


class Evil:
    """Raises whatever is asked of it, but its hash."""

    def _raise(self, *_):
        raise OwnError("asked")

    def __hash__(self):
        return 1

    __eq__ = __bool__ = __repr__ = __str__ = __len__ = __lt__ = __iter__ = _raise
    __reduce__ = __reduce_ex__ = __getstate__ = _raise


class EvilTable(Evil):
    """Says that it is a table and an array."""

    __array__ = __arrow_c_stream__ = Evil._raise


class EvilText(str):
    """A text that raises what it is asked."""

    def __hash__(self):
        return str.__hash__(self)

    __eq__ = __str__ = __repr__ = __len__ = __reduce_ex__ = encode = __format__ = Evil._raise


class EvilZone(datetime.tzinfo):
    """A time zone that raises what it is asked."""

    utcoffset = dst = tzname = Evil._raise


def with_attrs():
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["x"] = Evil()
    return frame


def with_labels(axis):
    frame = pd.DataFrame({"a": [1]})
    setattr(frame, axis, pd.Index([Evil()], dtype=object))
    return frame


def with_name():
    frame = pd.DataFrame({"a": [1]})
    frame.index.name = Evil()
    return frame


VALUES = {
    "itself": Evil,
    "as a table": EvilTable,
    "in a list": lambda: [1, Evil()],
    "in a dict": lambda: {"a": Evil()},
    "as a key": lambda: {Evil(): 1},
    "in a set": lambda: {Evil()},
    "in an ordered dict": lambda: collections.OrderedDict(a=Evil()),
    "beside an array": lambda: {"a": np.arange(3), "b": Evil()},
    "in an array": lambda: np.array([Evil()], dtype=object),
    "in a column": lambda: pd.DataFrame({"a": [1], "b": pd.Series([Evil()], dtype=object)}),
    "as a column's label": lambda: with_labels("columns"),
    "in an index": lambda: with_labels("index"),
    "as an index's name": with_name,
    "in attrs": with_attrs,
    "text": lambda: EvilText("x"),
    "text in a list": lambda: [EvilText("x")],
    "text as a key": lambda: {EvilText("x"): 1},
    "text in a column": lambda: pd.DataFrame({"a": pd.Series([EvilText("x")], dtype=object)}),
    "time zone": lambda: datetime.datetime(2020, 1, 1, tzinfo=EvilZone()),
    "time zone in a list": lambda: [datetime.time(1, tzinfo=EvilZone())],
}


@pytest.mark.parametrize("extension", ["", ".pkl", ".json", ".csv", ".parquet", ".npy"])
def test_code_of_a_values_own_costs_no_more_than_that_value(view, extension):
    """It is refused by an error of ours that names the object, and the old one stays, or stored."""
    name = f"x{extension}"
    told = []
    for made in VALUES.values():
        before = view.exists(name) and view.stat(name).version
        try:
            view.put(name, made())
        except RunStoreError as exc:
            told.append(str(exc))
            unchanged = before == (view.exists(name) and view.stat(name).version)
            told += [] if unchanged else [f"{exc} replaced the old object"]
    assert told
    assert [] == [one for one in told if f"dev/r1/{name}" not in one or "replaced" in one]

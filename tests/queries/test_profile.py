"""What is in the columns of a stored table, in bounded memory."""

import subprocess
import sys
import textwrap
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from runstore import ObjectStore
from runstore.keys import Place
from runstore.queries import profiled
from runstore.store.rows import open_rows


def profile(store, name="t"):
    """Profile all columns of an object, by name."""
    table = open_rows(store, Place("dev", "r1", name))
    return {one.name: one for one in profiled(table, range(len(table.columns)))}


def test_a_profile_counts_nulls_distinct_values_and_bins(store, view):
    """Of a short table all rows are looked at, and the numbers are exact."""
    day = datetime(2020, 1, 1)
    table = {
        "int": list(range(10)),
        "float": [None, float("nan"), *range(8)],
        "text": ["a", "b", "b", None, "c", "b", "a", "a", "b", "b"],
        "labels": pa.array(["x", "y"] * 5).dictionary_encode(),
        "bool": [True, False, None, True, True, False, True, True, True, True],
        "time": [day + timedelta(days=n) for n in range(10)],
        "list": [[1]] * 10,
        "null": pa.nulls(10),
    }
    view.put("t", pa.table(table))
    found = profile(store)
    assert all(one.whole and one.seen == 10 for one in found.values())
    assert (0, 10, "0", "9", [1] * 10) == (
        *(found["int"].nulls, found["int"].distinct, found["int"].least),
        *(found["int"].most, found["int"].bins),
    )
    assert (1, 1, 8, "7") == (
        *(found["float"].nulls, found["float"].nans),
        *(found["float"].distinct, found["float"].most),
    )
    assert (1, 3, [("b", 5), ("a", 3), ("c", 1)]) == (
        *(found["text"].nulls, found["text"].distinct),
        found["text"].top,
    )
    assert (2, "x", "y") == (
        *(found["labels"].distinct, found["labels"].least),
        found["labels"].most,
    )
    assert [("true", 7), ("false", 2)] == found["bool"].top
    assert "2020-01-01 00:00:00" == found["time"].least
    assert 10 == sum(found["time"].bins)
    assert (None, 10) == (found["list"].distinct, found["null"].nulls)


def test_of_a_long_table_a_sample_is_looked_at(store, view):
    """Rows from the beginning to the end are looked at, and the profile says how many."""
    view.put("t", pd.DataFrame({"x": np.arange(1_000_000)}))
    found = profile(store)["x"]
    assert (False, "0", "999999") == (found.whole, found.least, found.most)
    assert found.seen == found.distinct <= 100_000


def test_every_kind_of_column_has_a_profile_or_a_reason(store, view):
    """Time spans, which Arrow has no kernel for, have a range; labels of lists have a reason."""
    spans = pa.array([60_000_000, None, 3_600_000_000], pa.duration("us"))
    lists = pa.DictionaryArray.from_arrays(pa.array([0, 0, None]), pa.array([[1]]))
    halves = pa.array(np.array([1.5, 2.5, 2.5], np.float16))
    columns = {"spans": spans, "labels": spans.dictionary_encode(), "half": halves, "lists": lists}
    view.put("t", pa.table(columns))
    found = profile(store)
    for name in ("spans", "labels"):
        one = found[name]
        assert (1, 2, "0:01:00", "1:00:00") == (one.nulls, one.distinct, one.least, one.most)
        assert 2 == sum(one.bins)
    assert ("1.5", "2.5") == (found["half"].least, found["half"].most)
    assert "Arrow" in found["lists"].reason


def test_pickled_columns_have_no_profile(store, view):
    """A column of pickles is named, with the reason."""
    view.put("t", pd.DataFrame({"a": [1], "b": [type]}))
    found = profile(store)
    assert "pickled" in found["b"].reason
    assert found["a"].reason is None


def test_numbers_that_no_float_holds_are_still_profiled(store, view):
    """Infinite and huge numbers give no bins that fail."""
    view.put("t", pa.table({"x": [float("inf"), float("-inf"), 1e308, -1e308, 0.0]}))
    assert "-inf" == profile(store)["x"].least


def test_a_profile_needs_no_pandas(tmp_path):
    """To import it takes as long as all else of a first look."""
    days = [date(2026, 1, 1), date(2026, 1, 2), None]
    table = pa.table({"x": [1.5, None, 2.0], "n": [1, 2, 2], "day": days, "t": list("aba")})
    ObjectStore(tmp_path).at(namespace="dev", run="r1").put("t", table)
    code = """
        import sys
        from runstore import ObjectStore
        from runstore.keys import Place
        from runstore.queries import profiled
        from runstore.store.rows import open_rows

        table = open_rows(ObjectStore(sys.argv[1]), Place("dev", "r1", "t"))
        found = {one.name: one for one in profiled(table, range(4))}
        assert ([1, 2], 2) == (found["n"].bins, sum(found["day"].bins))
        assert "pandas" not in sys.modules
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path],
        check=True,
    )

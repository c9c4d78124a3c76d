"""The values that pandas tests its own storage and its own indexes with."""

import warnings

import pandas as pd
import pytest
from tests.profiles import use_own_profile

from runstore import ObjectStore

indices = pytest.importorskip("pandas.conftest", reason="the wheel has no pandas.conftest")
legacy = pytest.importorskip(
    "pandas.tests.io.generate_legacy_storage_files",
    reason="the wheel has no generator of stored values",
)
use_own_profile()  # importing pandas.conftest has loaded pandas' own
INDEXES = indices.indices_dict
SERIES = indices._index_or_series_memory_objs  # also of narrow dtypes, and over each index


def _legacy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of the values are deprecated
        found = {}
        for kind, values in legacy.create_pickle_data().items():
            for name, value in (values if isinstance(values, dict) else {"": values}).items():
                found[f"{kind} {name}".strip()] = value
        if hasattr(legacy, "create_dataframe_all_types"):
            found["of all types"] = legacy.create_dataframe_all_types()
        return found


LEGACY = _legacy()


def same(expected, actual):
    """Assert with pandas' own, strictest comparison that a value has come back."""
    assert type(expected) is type(actual)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(
            expected, actual, check_exact=True, check_freq=True, check_flags=True
        )
        assert expected.attrs == actual.attrs
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(
            expected, actual, check_exact=True, check_freq=True, check_flags=True
        )
    elif isinstance(expected, pd.Index):
        pd.testing.assert_index_equal(expected, actual, exact=True, check_exact=True)
        assert getattr(expected, "freq", None) == getattr(actual, "freq", None)
        assert expected.names == actual.names
    elif isinstance(expected, pd.Categorical):
        same(pd.Series(expected), pd.Series(actual))
    else:
        assert expected is actual or expected == actual


@pytest.fixture
def view(tmp_path):
    return ObjectStore(tmp_path).at(namespace="dev", run="r1")


@pytest.mark.parametrize("name", INDEXES)
def test_indexes(view, name):
    """Each of pandas' indexes comes back: alone, under a frame, over it, and in a series."""
    index = INDEXES[name]
    view.put("x", index)
    same(index, view.get("x"))
    frame = pd.DataFrame({"a": range(len(index))}, index=index)
    values = [frame, frame["a"], frame.T, index.set_names(["n"] * index.nlevels)]
    values += [
        index.to_frame(name=[*range(index.nlevels)] if isinstance(index, pd.MultiIndex) else 0),
        index[:0],
        frame.iloc[:0],
        frame[[]],
    ]
    if index.nlevels == 1:
        values += [pd.Series(index), pd.Series(index, index=index, name="s")]
    for value in values:
        view.put("x", value)
        same(value, view.get("x"))


@pytest.mark.parametrize("name", SERIES)
def test_series(view, name):
    """Each of pandas' series comes back: alone, and as a column."""
    value = SERIES[name]
    values = [value] if isinstance(value, pd.Index) else [value, value.to_frame(), value[::2]]
    for one in values:
        view.put("x", one)
        same(one, view.get("x"))


@pytest.mark.parametrize("name", LEGACY)
def test_stored_values(view, name):
    """Each value that pandas' releases have to read from their elders' files comes back."""
    view.put("x", LEGACY[name])
    same(LEGACY[name], view.get("x"))

"""Files that earlier versions wrote are read for ever."""

import numpy as np
import pandas as pd
import pytest
from tests.containers.make_golden import GOLDEN, parts, values

from runstore import ObjectStore
from runstore.testing import assert_same

_EXACT = {
    *("nested", "packed", "packed-parts", "everyday", "everyday-frame", "everyday-polars"),
    *("plain", "xarray-levels", "xarray-tree"),
    *("file.safetensors", "ordered.safetensors", "folder/series.parquet"),
}

VERSIONS = sorted(path.name for path in GOLDEN.iterdir())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", values())
def test_a_golden_file_is_read_as_it_was_written(version, name):
    """Each value comes back equal from the file that version wrote."""
    if name in ("folder/series.parquet", "everyday-polars"):
        pytest.importorskip("polars", "2.1", reason="an Enum, which older ones refuse")
    if name == "everyday-frame":
        pytest.importorskip("pandas", "3", reason="labels of text are objects in older ones")
    view = ObjectStore(GOLDEN / version).at(namespace="golden", run=version)
    header = "." not in name or name.endswith(".parquet")
    verify = "auto" if name.endswith(".csv") else True
    expected, actual = values()[name], view.get(name, verify=verify)
    assert type(expected) is type(actual)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(expected, actual)
    elif isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(expected, actual)
        assert (expected.dtype, expected.flags.f_contiguous) == (
            actual.dtype,
            actual.flags.f_contiguous,
        )
    elif name == "file.skops":
        assert_same(expected.transform(np.eye(2)), actual.transform(np.eye(2)))
    elif name in _EXACT:
        assert_same(expected, actual)
    elif name == "big-pickle":
        np.testing.assert_array_equal(expected[0], actual[0])
    else:
        assert expected == actual
    assert ({"v": 1} if header else {}) == view.stat(name).metadata


@pytest.mark.parametrize("version", VERSIONS)
def test_golden_parts_are_read_as_they_were_sealed(version):
    """All of them in the order of their keys, each by its key, and nothing is pending."""
    view = ObjectStore(GOLDEN / version).at(namespace="golden", run=version)
    expected = parts()
    order = [-1, 7, "a/b.c", "long " * 40, ("x", 2), ("x", 10)]
    assert order == [info.part for info in view.parts("sealed")]
    whole = pd.concat([expected[key] for key in order])
    pd.testing.assert_frame_equal(whole, view.get("sealed", verify=True))
    for key in order:
        pd.testing.assert_frame_equal(expected[key], view.get("sealed", part=key))
    assert [] == view.pending("sealed", order)
    assert ({"v": 1}, 6) == (view.stat("sealed").metadata, view.stat("sealed").parts)


@pytest.mark.parametrize("version", VERSIONS)
def test_golden_names_are_listed(version):
    """Each golden file is found under its full name."""
    view = ObjectStore(GOLDEN / version).at(namespace="golden", run=version)
    assert sorted([*values(), "sealed"]) == [info.name for info in view.list(details=True)]

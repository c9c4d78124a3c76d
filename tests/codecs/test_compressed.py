"""Large values that are compressed are cut into batches, and are one again."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.codecs import test_pandas_columns, test_pandas_frames, test_pandas_index, test_polars

from runstore import ObjectStore
from runstore.containers import _compression
from runstore.testing import assert_same

_TESTS = (
    # The frames have the same columns and indexes.
    pytest.param(test_pandas_columns.TestSeries, marks=pytest.mark.extended),
    test_pandas_columns.TestFrames,
    test_pandas_frames.TestFrames,
    test_pandas_index.TestRows,
    test_polars.TestPolars,
)


@pytest.mark.parametrize("tests", _TESTS)
def test_values_come_back_whole(tests: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of any kind, an index, labels: whatever was cut into a batch for every few rows."""
    monkeypatch.setattr(_compression, "_COMPRESSED", 16)
    view = ObjectStore("memory://compressed").at(namespace="n", run="r")
    for name, value in tests.values().items():
        view.put("x", value, compression="zstd")
        try:
            tests().assert_same(value, view.get("x"))
        except AssertionError as exc:
            raise AssertionError(name) from exc


def test_a_large_batch_is_cut(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a limit is compressed at a time; labels of categories are one for all."""
    monkeypatch.setattr(_compression, "_COMPRESSED", 3000)
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    numbers = pd.DataFrame({"a": np.arange(1000.0)})
    labelled = numbers.assign(b=pd.Categorical.from_codes(np.zeros(1000, "i1"), ["x"]))
    for name, value, batches in (
        ("frame", numbers, 3),
        ("table", pa.table({"a": numbers["a"].to_numpy()}), 3),
        ("labelled", labelled, 1),
    ):
        view.put(name, value, compression="lz4")
        assert_same(value, view.get(name))
        with pa.ipc.open_file(next(tmp_path.rglob(f"{name}.arrow"))) as file:
            assert batches == file.num_record_batches

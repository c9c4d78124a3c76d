"""Frames of Dask and datasets of Ray: partitions are put and read by the workers that have them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from runstore import ObjectStore
from runstore.testing import assert_same

MIB = 1 << 20


def made(number, rows):
    """Give a partition, in the worker."""
    return pd.DataFrame({"n": np.full(rows, number), "x": np.arange(rows) / 3})


def _grown(do):
    """Return the peak of this process above its memory just before, in MiB, and a result."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    result = do()
    return (_status("VmHWM") - before) / 1024, result


def _status(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise KeyError(name)


@pytest.mark.slow
def test_partitions_of_dask_never_pass_this_process(dask_client, dask_cluster, tmp_path):
    """384 MiB are put and summed by two workers; this process grows by less than 64 MiB."""
    import dask.dataframe as dd

    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")
    rows = 24 * MIB // 16
    frame = dd.from_map(made, range(16), rows=rows, meta=made(0, 0))
    with dask_client.as_current():
        grown, info = _grown(lambda: view.put("x", frame))
        assert (16, 16 * rows) == (info.parts, info.rows)
        assert grown < 64
        grown, total = _grown(lambda: view.get("x", as_type=dd.DataFrame)["n"].sum().compute())
    assert sum(range(16)) * rows == total
    assert grown < 64
    assert_same(made(3, rows), view.get("x", part=3))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray Data warns of its own settings and of small machines
def test_blocks_of_ray_are_parts(ray_cluster, tmp_path):
    """A dataset comes back as a table, or as a dataset with a block for each part, in order."""
    import ray

    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")
    data = ray.data.range(1000, override_num_blocks=5).map_batches(lambda b: {"a": b["id"] * 2})
    info = view.put("x", data)
    assert 1000 == info.rows
    assert list(range(0, 2000, 2)) == view.get("x")["a"].to_pylist()
    back = view.get("x", as_type=ray.data.Dataset)
    assert list(range(0, 2000, 2)) == [row["a"] for row in back.take_all()]
    view.put("y", ray.data.range(10).filter(lambda row: False))
    assert 0 == view.get("y").num_rows

"""Values of many partitions: Dask's frames in this process, and group-bys of pandas and polars."""

import dask
import numpy as np
import pandas as pd
import polars as pl
import pytest

from runstore import aio
from runstore.errors import InvalidNameError, InvalidRequestError, UnsupportedValueError
from runstore.testing import assert_same

dd = pytest.importorskip("dask.dataframe")

FRAME = pd.DataFrame(
    {
        "a": np.arange(20, dtype="int16"),
        "c": pd.Categorical(["u", "v"] * 10),
        "t": pd.date_range("2026-01-01", periods=20, tz="UTC"),
    },
    index=pd.Index(range(5, 25), name="i"),
)


def test_a_frame_of_dask_is_a_part_for_each_partition(view):
    """It comes back as one pandas frame, or partition by partition as a frame of Dask."""
    frame = dd.from_pandas(FRAME, npartitions=4)
    info = view.put("x", frame, metadata={"a": 1})
    assert (4, 20, {"a": 1}) == (info.parts, info.rows, info.metadata)
    assert_same(FRAME, view.get("x"))
    back = view.get("x", as_type=dd.DataFrame)
    assert 4 == back.npartitions
    assert_same(FRAME, back.compute())
    assert_same(FRAME[["t"]], view.get("x", as_type=dd.DataFrame, columns=["t"]).compute())
    assert_same(frame.partitions[2].compute(), view.get("x", part=2))


def test_a_series_of_dask_comes_back(view):
    """With its name, as a series of pandas or of Dask."""
    view.put("x", dd.from_pandas(FRAME["a"], npartitions=3))
    assert_same(FRAME["a"], view.get("x"))
    assert_same(FRAME["a"], view.get("x", as_type=dd.Series).compute())


def test_a_frame_of_dask_reads_the_version_that_it_was_made_of(view):
    """A newer object under the name changes nothing of what was got before."""
    view.put("x", dd.from_pandas(FRAME, npartitions=2))
    old = view.get("x", as_type=dd.DataFrame)
    view.put("x", dd.from_pandas(FRAME.iloc[:4], npartitions=2))
    assert_same(FRAME, old.compute())
    assert 4 == len(view.get("x"))


def test_any_parts_are_read_as_a_frame_of_dask(view):
    """Parts of polars or Arrow come as pandas has them; what is no parts is refused."""
    for number in range(2):
        view.put("x", pl.DataFrame({"a": [number, 7]}), part=number)
    view.seal("x")
    assert [0, 7, 1, 7] == view.get("x", as_type=dd.DataFrame)["a"].compute().tolist()
    view.put("y", FRAME)
    with pytest.raises(InvalidRequestError, match="is not made of parts"):
        view.get("y", as_type=dd.DataFrame)


def test_a_put_that_fails_leaves_the_old_object(view):
    """A partition that fails, or does not join, is an error of the whole."""
    view.put("x", dd.from_pandas(FRAME, npartitions=2))

    def fail(part):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        view.put("x", dd.from_pandas(FRAME, npartitions=2).map_partitions(fail, meta=FRAME))
    odd = dd.from_map(lambda kind: FRAME.astype({"a": kind}), ["int8", "int64"], meta=FRAME)
    with pytest.raises(UnsupportedValueError, match="column 'a' is int64, and not int8"):
        view.put("x", odd)
    with pytest.raises(InvalidRequestError, match="without the extension"):
        view.put("x.parquet", dd.from_pandas(FRAME, npartitions=2))
    assert_same(FRAME, view.get("x"))


def test_groups_of_pandas_are_parts_under_their_values(view):
    """In the order of the values, and each is read alone."""
    groups = FRAME.groupby("c", observed=True)
    view.put("x", groups)
    assert ["u", "v"] == [info.part for info in view.parts("x")]
    expected = [group for _, group in groups]
    assert_same(expected[1], view.get("x", part="v"))
    assert_same(pd.concat(expected), view.get("x"))
    frame = FRAME.assign(b=[1, 2, 3, 4] * 5)
    view.put("y", frame.groupby(["c", "b"], observed=True))
    assert [("u", 1), ("u", 3), ("v", 2), ("v", 4)] == [info.part for info in view.parts("y")]


def test_groups_of_polars_are_parts_under_their_values(view):
    """A key of one column stands alone."""
    frame = pl.DataFrame({"k": [3, 1, 3], "v": [1.5, 2.5, None]})
    view.put("x", frame.group_by("k"))
    assert [1, 3] == [info.part for info in view.parts("x")]
    assert frame.filter(pl.col("k") == 3).equals(view.get("x", part=3))


def test_groups_need_values_that_can_be_keys(view):
    """Floats and missing values cannot be the key of a part; the error says what can."""
    with pytest.raises(InvalidNameError, match="part must be a text, an int"):
        view.put("x", FRAME.assign(f=0.5).groupby("f"))


async def _put_and_get(store):
    async with aio.ObjectStore(store.address) as awaited:
        view = awaited.at(namespace="dev", run="r1")
        await view.put("x", dd.from_pandas(FRAME, npartitions=3))
        return await view.get("x")


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_awaited_puts_take_partitions_too(tmp_path, scheduler):
    """The verbs to await put and get them alike, and what crosses to a process can be pickled."""
    import asyncio

    from runstore import ObjectStore

    with dask.config.set(scheduler=scheduler, num_workers=2):
        found = asyncio.run(_put_and_get(ObjectStore(tmp_path / "store")))
    assert_same(FRAME, found)

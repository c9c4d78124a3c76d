"""The libraries that runstore:// is for: they open it by fsspec, and know nothing of runstore."""

import warnings

import duckdb
import fsspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from upath import UPath

from runstore import ObjectStore, run_context
from runstore.errors import UnsupportedValueError
from runstore.filesystem import RunstorePath

FRAME = pd.DataFrame({"a": range(1000), "b": ["x", None] * 500, "c": pd.Timestamp("2026-01-01")})
FRAME = FRAME.astype({"c": "datetime64[ms]"})  # which every pandas reads back from Parquet
HERE = "runstore://dev/r1"


@pytest.fixture
def view(store, monkeypatch):
    """Give a view with a frame as Arrow and as Parquet; its store is the default one."""
    monkeypatch.setenv("RUNSTORE_URL", store.url)
    view = store.at(namespace="dev", run="r1")
    view.put("features", FRAME)
    view.put("trips.parquet", FRAME)
    return view


def test_pandas_reads_and_writes_by_url(view):
    """read_feather, read_parquet, to_parquet, to_feather, to_csv and to_json take the URL."""
    pd.testing.assert_frame_equal(FRAME, pd.read_feather(f"{HERE}/features"))
    pd.testing.assert_frame_equal(FRAME[["a"]], pd.read_feather(f"{HERE}/features", columns=["a"]))
    pd.testing.assert_frame_equal(FRAME, pd.read_parquet(f"{HERE}/trips.parquet"))
    FRAME.to_parquet(f"{HERE}/by_pandas.parquet")
    FRAME.to_feather(f"{HERE}/by_pandas")
    FRAME[["a"]].to_csv(f"{HERE}/by_pandas.csv", index=False)
    FRAME[["a"]].to_json(f"{HERE}/by_pandas.json", orient="split")
    for name in ("by_pandas.parquet", "by_pandas"):
        assert FRAME["a"].tolist() == view.get(name)["a"].to_pylist()
    pd.testing.assert_frame_equal(FRAME[["a"]], view.get("by_pandas.csv"))
    assert [[0], [1]] == view.get("by_pandas.json")["data"][:2]
    with pytest.raises(FileNotFoundError, match="dev/r1/none"):
        pd.read_feather(f"{HERE}/none")


def test_pandas_takes_the_store_as_an_option(view, tmp_path):
    """storage_options name the store, also where the caller's function has an argument url."""
    for name, option in (("x.parquet", "store"), ("y.csv", "url")):
        options = {option: f"{tmp_path}/other"}
        if name.endswith(".csv"):
            FRAME[["a"]].to_csv(f"{HERE}/{name}", index=False, storage_options=options)
            back = pd.read_csv(f"{HERE}/{name}", storage_options=options)
        else:
            FRAME[["a"]].to_parquet(f"{HERE}/{name}", storage_options=options)
            back = pd.read_parquet(f"{HERE}/{name}", storage_options=options)
        pd.testing.assert_frame_equal(FRAME[["a"]], back)
    other = ObjectStore(tmp_path / "other").at(namespace="dev", run="r1")
    assert ["x.parquet", "y.csv"] == [info.name for info in other.list()]


def test_pyarrow_reads_and_writes_datasets(view):
    """pyarrow.dataset takes the filesystem: one object, several, or all of a folder."""
    fs = fsspec.filesystem("runstore")
    table = ds.dataset("dev/r1/features", filesystem=fs, format="feather").to_table()
    assert FRAME["a"].tolist() == table["a"].to_pylist()
    assert table["a"] == pq.read_table("dev/r1/trips.parquet", filesystem=fs)["a"]
    view.put("parts/1.parquet", pa.table({"a": [1, 2]}))
    view.put("parts/2.parquet", pa.table({"a": [3]}))
    parts = ds.dataset("dev/r1/parts", filesystem=fs, format="parquet")
    assert [2, 3] == sorted(parts.to_table(filter=ds.field("a") > 1)["a"].to_pylist())
    ds.write_dataset(table, "dev/r1/out", filesystem=fs, format="parquet", partitioning=["c"],
                     partitioning_flavor="hive")  # fmt: skip
    assert 1000 == sum(view.get(info.name).num_rows for info in view.list("out/"))


def test_polars_reads_and_writes_files(view):
    """Polars takes open files, and datasets of pyarrow lazily."""
    fs = fsspec.filesystem("runstore")
    for read, name in ((pl.read_ipc, "features"), (pl.read_parquet, "trips.parquet")):
        with fs.open(f"dev/r1/{name}") as file:
            assert FRAME["a"].tolist() == read(file)["a"].to_list()
    lazy = pl.scan_pyarrow_dataset(ds.dataset("dev/r1/trips.parquet", filesystem=fs))
    assert 499500 == lazy.select(pl.col("a").sum()).collect().item()
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
    with fs.open("dev/r1/by_polars", "wb") as file:
        frame.write_ipc(file)
    with fs.open("dev/r1/by_polars.parquet", "wb") as file:
        frame.write_parquet(file)
    for name in ("by_polars", "by_polars.parquet"):
        assert frame.to_dict(as_series=False) == view.get(name).to_pydict()


def test_duckdb_queries_and_copies(view):
    """DuckDB reads Parquet and CSV in place, by pattern, too, and writes results."""
    with duckdb.connect() as connection:
        connection.register_filesystem(fsspec.filesystem("runstore"))
        sql = f"SELECT sum(a) FROM '{HERE}/trips.parquet' WHERE b = 'x'"
        assert [(FRAME["a"][FRAME["b"] == "x"].sum(),)] == connection.sql(sql).fetchall()
        connection.sql(f"COPY (SELECT 42 AS a) TO '{HERE}/answer.parquet'")
        connection.sql(f"COPY (SELECT 42 AS a) TO '{HERE}/answer.csv'")
        assert [(1001,)] == connection.sql(
            f"SELECT count(*) FROM read_parquet('{HERE}/*.parquet', union_by_name=true)"
        ).fetchall()
    assert {"a": [42]} == view.get("answer.parquet").to_pydict()
    assert [42] == view.get("answer.csv")["a"].tolist()


def test_upath_is_a_path(view):
    """UPath("runstore://…") joins, reads, writes and lists, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        here = UPath(HERE)
    assert type(here) is RunstorePath
    report = here / "reports" / "day.json"
    assert ("day.json", ".json", here / "reports") == (report.name, report.suffix, report.parent)
    assert f"{HERE}/reports/day.json" == str(report)
    assert not report.exists()
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text('{"a": 1}')
    assert {"a": 1} == view.get("reports/day.json")
    assert '{"a": 1}' == report.read_text()
    assert ["features", "reports", "trips.parquet"] == sorted(p.name for p in here.iterdir())
    assert [report] == list(here.glob("**/*.json"))
    pd.testing.assert_frame_equal(FRAME, pd.read_feather((here / "features").open("rb")))
    with pytest.raises(UnsupportedValueError, match="holds an Arrow file"):
        (here / "text").write_text("hello")
    report.unlink()
    assert not report.exists()


def test_fsspec_opens_chains_and_maps(view, tmp_path):
    """fsspec.open, caches in front, url_to_fs, get_mapper and downloads work."""
    with fsspec.open(f"{HERE}/note.json", "w") as file:
        file.write('"hello"')
    with fsspec.open(f"{HERE}/note.json", "r") as file:
        assert '"hello"' == file.read()
    with fsspec.open(f"simplecache::{HERE}/features", "rb") as file:
        pd.testing.assert_frame_equal(FRAME, pd.read_feather(file))
    with run_context(namespace="dev", run="r1", store=tmp_path / "other") as ctx:
        ObjectStore(ctx.store).at(namespace="dev", run="r1").put("features", FRAME[:1])
        with fsspec.open(f"simplecache::{HERE}/features", "rb") as file:
            assert 1 == len(pd.read_feather(file))  # not the other store's
    cached = {"filecache": {"cache_storage": str(tmp_path / "cache"), "check_files": True}}
    for value in ("one", "two"):  # the cache asks for the version, and it has changed
        view.put("note.json", value)
        with fsspec.open(f"filecache::{HERE}/note.json", "rb", **cached) as file:
            assert f'"{value}"'.encode() == file.read().strip()
    fs, path = fsspec.url_to_fs(f"{HERE}/features")
    assert ("dev/r1/features", True) == (path, fs.isfile(path))
    mapper = fsspec.get_mapper(HERE)
    assert fs.cat_file(path) == mapper["features"]
    assert {"features", "note.json", "trips.parquet"} == set(mapper)
    fs.get(path, f"{tmp_path}/features")
    pd.testing.assert_frame_equal(FRAME, pd.read_feather(tmp_path / "features"))

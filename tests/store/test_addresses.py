"""Where objects are for other readers, how these get in, and URLs that need no credentials."""

import asyncio
import json
import pickle
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

import duckdb
import fsspec
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.fs
import pytest
from botocore.config import Config
from botocore.session import Session
from tests.places.s3_ import ENGINES, open_store

from runstore import ObjectStore, aio, run_context
from runstore.errors import InvalidRequestError, ObjectNotFoundError
from runstore.places._s3 import _handover
from runstore.places._s3._config import S3Config
from runstore.store import StoreUrl

NAMES = ["plain", "a/é %b", "x.parquet", "é=+ ~*.parquet"]
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


@pytest.fixture
def disk(tmp_path):
    """Give an empty view on disk."""
    return ObjectStore(tmp_path / "my store").at(namespace="n", run="r:1")


@pytest.fixture(params=["local", *ENGINES])
def view(request, disk):
    """Give an empty view on disk, and on a server that checks signatures."""
    if request.param == "local":
        return disk
    server = request.getfixturevalue("seaweed_server")
    return open_store(server, request.param).at(namespace="n", run="r:1")


def _with_pandas(view, url, is_parquet):
    read = pd.read_parquet if is_parquet else pd.read_feather
    return read(url, storage_options=view.storage_options("pandas"))["a"].to_list()


def _with_polars(view, url, is_parquet):
    how = view.storage_options("polars")
    scan = pl.scan_parquet if is_parquet else pl.scan_ipc
    return scan(url, storage_options=how, glob=False).collect()["a"].to_list()


def _with_duckdb(view, url, is_parquet):
    database, how = duckdb.connect(), view.storage_options("duckdb")
    if not is_parquet:
        arrow = _dataset(view, url, is_parquet)  # noqa: F841 - DuckDB finds it
        return [row[0] for row in duckdb.sql("SELECT a FROM arrow").fetchall()]
    if how:
        database.register_filesystem(fsspec.filesystem("s3", **how))
    found = database.execute("SELECT a FROM read_parquet(?)", [url])
    return [row[0] for row in found.fetchall()]


def _dataset(view, url, is_parquet):
    kind = "parquet" if is_parquet else "feather"
    if url.startswith("s3://"):
        files = pyarrow.fs.S3FileSystem(**view.storage_options("pyarrow"))
        return ds.dataset(url.removeprefix("s3://"), filesystem=files, format=kind)
    return ds.dataset(url, format=kind)


def _with_pyarrow(view, url, is_parquet):
    return _dataset(view, url, is_parquet).to_table()["a"].to_pylist()


@pytest.mark.extended
@pytest.mark.parametrize("name", NAMES)
def test_other_readers_read_the_file(view, name):
    """Each of four libraries reads an object through its URL and the options for it."""
    view.put(name, FRAME)
    url, is_parquet = view.url(name), name.endswith("parquet")
    for read in (_with_pandas, _with_polars, _with_duckdb, _with_pyarrow):
        assert [1, 2] == read(view, url, is_parquet), read


def test_urls_on_disk(tmp_path):
    """A path without special characters is a file URL; any other stays a path."""
    view = ObjectStore(tmp_path / "store").at(namespace="n", run="r")
    view.put("report.html", "text")
    view.put("é.html", "text")
    assert f"file://{tmp_path}/store/n/r/report.html" == view.url("report.html")
    with urllib.request.urlopen(view.url("report.html")) as file:
        assert b"text" == file.read()
    assert f"{tmp_path}/store/n/r/%C3%A9.html" == view.url("é.html")


def test_the_url_of_a_store_is_its_verb_too(tmp_path):
    """``store.url`` is the text it always was, and called with a name the verb of the run."""
    store = ObjectStore(tmp_path / "store")
    assert f"file://{tmp_path}/store" == store.url
    assert isinstance(store.url, str)
    assert str is type(pickle.loads(pickle.dumps(store.url)))
    assert json.dumps(store.url) == json.dumps(str(store.url))
    with run_context(namespace="n", run="r", store=store):
        store.put("x.txt", "text")
        assert f"file://{tmp_path}/store/n/r/x.txt" == store.url("x.txt")
    assert type(store.url) is StoreUrl

    async def awaited():
        async with aio.ObjectStore(tmp_path / "store") as other:
            assert store.url == other.url
            with run_context(namespace="n", run="r", store=other.address):
                return await other.url("x.txt"), await other.storage_options("pandas")

    assert (f"file://{tmp_path}/store/n/r/x.txt", {}) == asyncio.run(awaited())


def test_what_has_no_url(disk, tmp_path):
    """A missing object, one of parts, a folder and an object in memory: an error that says so."""
    with pytest.raises(ObjectNotFoundError, match="none"):
        disk.url("none")
    disk.put("parts", FRAME, part=1)
    disk.seal("parts")
    (tmp_path / "folder").mkdir()
    disk.put_dir("folder", tmp_path / "folder")
    for name in ("parts", "folder"):
        with pytest.raises(InvalidRequestError, match="no single file"):
            disk.url(name)
    memory = ObjectStore("memory://x").at(namespace="n", run="r")
    memory.put("x", 1)
    for call in (lambda: memory.url("x"), lambda: memory.storage_options("pandas")):
        with pytest.raises(InvalidRequestError, match="memory of this process"):
            call()
    for place in (memory, disk):
        with pytest.raises(InvalidRequestError, match="only S3"):
            place.presign("x", 60)


def test_secrets_do_not_show_or_travel(moto_server, tmp_path):
    """The options show no value, and are refused where they would be stored or pickled."""
    view = open_store(moto_server, "obstore").at(namespace="n", run="r")
    for reader in ("pandas", "polars", "duckdb", "pyarrow"):
        how = view.storage_options(reader)
        assert moto_server.secret in map(str, how.values())
        assert moto_server.secret not in repr(how) + str(how) + f"{how}"
        with pytest.raises(InvalidRequestError, match="credentials"):
            pickle.dumps(how)
        for name in ("x", "x.json", "x.pkl"):
            with pytest.raises(Exception, match=r"credentials|SecretOptions|JSON"):
                view.put(name, how)
        assert moto_server.secret in map(str, dict(how).values())
    assert [] == view.list()
    with pytest.raises(InvalidRequestError, match="reader"):
        view.storage_options("spark")


def test_credentials_are_those_of_now(moto_server, monkeypatch):
    """Options and URLs have the credentials that the environment has when they are asked for."""
    bucket = moto_server.new_bucket()
    where = {"endpoint_url": moto_server.endpoint}
    view = ObjectStore(f"s3://{bucket}", **where).at(namespace="n", run="r")
    for key in ("first", "second"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token/+=")
        assert key == view.storage_options("polars")["aws_access_key_id"]
        assert "token/+=" == view.storage_options("pyarrow")["session_token"]
        url = view.presign("x", 60)
        assert f"Credential={key}%2F" in url
        assert "X-Amz-Security-Token=token%2F%2B%3D" in url
    anonymous = ObjectStore(f"s3://{bucket}", anon=True, **where).at(namespace="n", run="r")
    assert anonymous.storage_options("pandas")["anon"]
    assert "true" == anonymous.storage_options("polars")["aws_skip_signature"]
    with pytest.raises(InvalidRequestError, match="not signed"):
        anonymous.presign("x", 60)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["report.html", "a/é %b+=.html"])
def test_a_presigned_url_needs_no_credentials(seaweed_server, engine, name):
    """Plain urllib reads and writes by it; not with another method, name or signature."""
    view = open_store(seaweed_server, engine).at(namespace="n", run="r:1")
    view.put(name, "<h1>")

    def status(url, method="GET", data=None):
        request = urllib.request.Request(url, data, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as exc:
            return exc.code, b""

    url = view.presign(name, timedelta(hours=1))
    assert (200, b"<h1>") == status(url)
    assert "X-Amz-Expires=3600" in url
    assert (200, b"") == status(view.presign(name, 60, "HEAD"), "HEAD")
    assert 200 == status(view.presign("up.txt", 60, method="PUT"), "PUT", b"up")[0]
    assert "up" == view.get("up.txt")
    assert 404 == status(view.presign("none.txt", 60))[0]
    for forged in (url.replace("Signature=", "Signature=0"), url.replace("=3600", "=3601")):
        assert 403 == status(forged)[0]
    assert 403 == status(url, "PUT", b"forged")[0]
    assert "<h1>" == view.get(name)


def test_the_signature_is_that_of_botocore():
    """For hosts and paths of all styles, with a token: the same URL that AWS' own library makes."""
    for options, style in [
        ({"endpoint_url": "https://host.example:9000/base"}, "path"),
        ({"client_kwargs": {"region_name": "eu-west-1"}}, "virtual"),
    ]:
        given = {"key": "AKID", "secret": "s/+", "token": "t/+=", **options}
        config = S3Config.resolve("bucket", given)
        session = Session()
        session.set_credentials("AKID", "s/+", "t/+=")
        client = session.create_client(
            "s3",
            region_name=config.region,
            endpoint_url=config.endpoint,
            config=Config(signature_version="s3v4", s3={"addressing_style": style}),
        )
        theirs = client.generate_presigned_url(
            "get_object", {"Bucket": "bucket", "Key": "a/é %b.txt"}, 60
        )
        moment = dict(urllib.parse.parse_qsl(theirs))["X-Amz-Date"]
        at = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        ours = _handover.presigned(config, "a/é %b.txt", 60, "GET", at)
        split = urllib.parse.urlsplit
        assert split(theirs)[:3] == split(ours)[:3]
        mine, other = (dict(urllib.parse.parse_qsl(split(one).query)) for one in (ours, theirs))
        assert mine == other


@pytest.mark.parametrize("expires_in", [0, -1, 604_801, float("nan"), "60", None, True])
def test_how_long_a_url_is_good(moto_server, expires_in):
    """From a second to seven days; anything else is refused."""
    view = open_store(moto_server, "obstore").at(namespace="n", run="r")
    with pytest.raises(InvalidRequestError, match="expires_in"):
        view.presign("x", expires_in)
    with pytest.raises(InvalidRequestError, match="method"):
        view.presign("x", 60, "DELETE")
    with pytest.raises(InvalidRequestError, match="current run"):
        view.presign("x", 60, "PUT", run="other")

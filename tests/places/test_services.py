"""Google and Azure through obstore: which engine is taken, what is refused, what stays secret."""

import json
import os
import pickle
import sys
import urllib.error
import urllib.request
import warnings

import numpy as np
import pyarrow.dataset
import pytest
from tests.places.test_remote import google_account

from runstore import ObjectStore
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    IndeterminateWriteError,
    InvalidRequestError,
    ObjectExistsError,
    PreconditionFailedError,
    SettingsError,
)
from runstore.places import open_backend

KEY = "U0VOVElORUwtOWYzYjFj"  # base 64 of a sentinel
LARGE = np.random.default_rng(1).random(3 << 20)  # 24 MiB


@pytest.fixture(params=["azure", "google"])
def service(request):
    """Give the URL of a new bucket, and what opens it through obstore."""
    if request.param == "azure":
        server = request.getfixturevalue("azure_server")
        return f"abfs://{server.new_bucket()}/p", {**server.options, "engine": "obstore"}
    server, endpoint = request.getfixturevalue("gcs_server"), request.getfixturevalue("gcs_xml")
    return f"gs://{server.new_bucket()}/p", {**google_account(endpoint), "engine": "obstore"}


@pytest.mark.slow
def test_conditions_are_kept_and_shown(service):
    """Creating is exclusive and if_match compares, also of objects that go up in parts."""
    url, options = service
    with ObjectStore(url, **options) as store:
        view = store.at(namespace="dev", run="r1")
        facts = store.guarantees
        assert (True, True, "native") == (facts.create, facts.compare_and_swap, facts.atomic_put)
        assert "via obstore" in repr(store)
        first = view.put("a", LARGE, if_absent=True)
        with pytest.raises(ObjectExistsError):
            view.put("a", LARGE, if_absent=True)
        second = view.put("a", LARGE[1:], if_match=first.version)
        with pytest.raises(PreconditionFailedError):
            view.put("a", LARGE, if_match=first.version)
        assert np.array_equal(LARGE[1:], view.get("a", verify=True))
        assert second.version == view.stat("a").version
        view.put("b", LARGE)  # in parts
        assert np.array_equal(LARGE, view.get("b", verify=True))
        copied = view.copy("b", to_name="c")
        assert copied.digest == view.stat("c").digest
        assert ["a", "b", "c"] == [info.name for info in view.list()]
        assert 0 == store.sweep(0)


@pytest.mark.slow
def test_a_public_bucket_is_read_without_credentials(gcs_server, gcs_xml):
    """Reading and listing need none; a write is denied, and says why."""
    url = f"gs://{gcs_server.new_bucket()}/p"
    given = {"engine": "obstore", "timeout": 5}
    ObjectStore(url, **google_account(gcs_xml), **given).at(namespace="d", run="r").put("a", 1)
    view = ObjectStore(url, token="anon", endpoint_url=gcs_xml, **given).at(namespace="d", run="r")
    assert 1 == view.get("a")
    assert ["a"] == [info.name for info in view.list()]
    with pytest.raises(AccessDeniedError, match="no usable credentials"):
        view.put("b", 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # of gcsfs's own client
def test_obstore_reads_googles_objects_without_our_translation(gcs_server):
    """What gcsfs has put is read, listed and removed by obstore at the emulator itself."""
    url = f"gs://{gcs_server.new_bucket()}/p"
    with ObjectStore(url, engine="gcsfs", **gcs_server.options) as store:
        put = store.at(namespace="d", run="r").put("a", LARGE)
        store.at(namespace="d", run="r").put("b", 1)
        store.at(namespace="d", run="r2").put("c", 1)
    with ObjectStore(url, engine="obstore", **google_account(gcs_server.endpoint)) as store:
        view = store.at(namespace="d", run="r")
        assert np.array_equal(LARGE, view.get("a", verify=True))  # in ranges
        assert (put.digest, put.size) == (view.stat("a").digest, view.stat("a").size)
        assert ["a", "b"] == [info.name for info in view.list()]
        assert ["r", "r2"] == store.runs_with_objects("d")
        view.delete("a")
        assert ["b"] == [info.name for info in view.list()]


@pytest.mark.slow
def test_a_forked_child_takes_the_other_client(azure_server):
    """obstore's threads are the parent's: the child reads and writes through adlfs."""
    url = f"abfs://{azure_server.new_bucket()}/p"
    with ObjectStore(url, **azure_server.options) as store:
        view = store.at(namespace="dev", run="r1")
        view.put("a", 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks in programs with threads
            pid = os.fork()
        if pid == 0:
            status = 1
            try:
                view.put("b", view.get("a") + 1)
                status = 0
            finally:
                os._exit(status)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert [1, 2] == [view.get("a"), view.get("b")]


@pytest.mark.slow
def test_a_wrong_key_is_no_miss(azure_server):
    """A denial is said to be one, by each verb."""
    words = azure_server.options["connection_string"].split(";")
    wrong = ";".join(f"AccountKey={KEY}" if w.startswith("AccountKey") else w for w in words)
    view = ObjectStore("abfs://container/p", connection_string=wrong, engine="obstore")
    view = view.at(namespace="dev", run="r1")
    for call in (
        lambda: view.get("a", default=None),
        lambda: view.exists("a"),
        lambda: view.put("a", 1),
        lambda: view.list(),
        lambda: view.delete("a", missing_ok=True),
    ):
        with pytest.raises(AccessDeniedError) as caught:
            call()
        assert KEY not in str(caught.value)


@pytest.mark.extended
@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("abfs://c/p", {"account_name": "a", "account_key": KEY, "engine": "obstore"}),
        ("gs://b/p", {**google_account("http://127.0.0.1:9"), "engine": "obstore"}),
    ],
)
def test_a_server_that_is_gone_is_no_miss(url, options):
    """Where nobody listens, every verb says so, and none takes it for a miss."""
    if url.startswith("abfs"):
        ended = "BlobEndpoint=http://127.0.0.1:9/a"
        options = {"connection_string": f"AccountName=a;AccountKey={KEY};{ended}"}
        options["engine"] = "obstore"
    view = ObjectStore(url, timeout=1, **options).at(namespace="dev", run="r1")
    for call in (lambda: view.exists("a"), lambda: view.get("a", default=None), view.list):
        with pytest.raises(BackendUnavailableError):
            call()
    with pytest.raises((BackendUnavailableError, IndeterminateWriteError)):
        view.put("a", 1)


def test_secrets_stay_in_the_process(monkeypatch):
    """Keys are in no repr, address or pickle."""
    account = google_account("http://127.0.0.1:9")["token"] | {"private_key": KEY}
    for url, options in (
        ("abfs://c/p", {"account_name": "a", "account_key": KEY}),
        ("abfs://c/p", {"connection_string": f"AccountName=a;AccountKey={KEY}"}),
        ("abfs://c/p", {"account_name": "a", "sas_token": f"sig={KEY}"}),
        ("gs://b/p", {"token": account}),
    ):
        store = ObjectStore(url, engine="obstore", **options)
        shown = [repr(store), repr(store.backend), store.address.model_dump_json()]
        shown.append(repr(pickle.dumps(store)))
        assert not any(KEY in one for one in shown)


def engine_of(url, **options):
    return getattr(open_backend(url, options=options), "engine", "fsspec")


def test_obstore_is_taken_where_it_is_given_all_it_needs(monkeypatch, tmp_path):
    """Credentials that have to be found, unknown options and emulators of JSON are fsspec's."""
    pytest.importorskip("adlfs")
    pytest.importorskip("gcsfs")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AZURE_STORAGE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    account = google_account("http://127.0.0.1:9")
    assert "obstore" == engine_of("abfs://c/p", account_name="a", account_key=KEY)
    assert "obstore" == engine_of("abfs://c@a.dfs.core.windows.net/p", anon=True)
    assert "obstore" == engine_of("gs://b/p", token="anon")
    assert "obstore" == engine_of("gs://b/p", **account)
    assert "fsspec" == engine_of("abfs://c/p", account_name="a")
    assert "fsspec" == engine_of("abfs://c/p", account_name="a", account_key=KEY, blocksize=1 << 20)
    assert "fsspec" == engine_of("gs://b/p", token="anon", endpoint_url="http://127.0.0.1:9")
    assert "fsspec" == engine_of("gs://b/p")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    assert "obstore" == engine_of("abfs://c/p", account_name="a")
    monkeypatch.setenv("FSSPEC_GCS_PROJECT", "p")
    assert "fsspec" == engine_of("gs://b/p", **account)
    assert "obstore" == engine_of("abfs://c/p", account_name="a")
    monkeypatch.delenv("FSSPEC_GCS_PROJECT")
    monkeypatch.setitem(sys.modules, "obstore", None)
    with monkeypatch.context() as patch:
        patch.setattr("runstore.places._registry.find_spec", lambda name: None)
        with pytest.raises(Exception, match="pip install"):
            open_backend("gs://b/p", engine="obstore")


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("abfs://c/p", {"engine": "s3fs"}, "not one of obstore, adlfs"),
        ("gs://b/p", {"engine": "adlfs"}, "not one of obstore, gcsfs"),
        ("abfs://c/p", {"engine": "obstore"}, "account is not named"),
        ("abfs://c/p", {"engine": "obstore", "account_name": "a", "blocksize": 1}, "blocksize"),
        ("abfs://c/p", {"engine": "obstore", "connection_string": "SENTINEL"}, "portal"),
        ("abfs:///p", {"engine": "obstore", "account_name": "a"}, "no container"),
        ("gs://b/p", {"engine": "obstore", "token": "browser"}, "token is for"),
        ("gs://b/p", {"engine": "obstore", "token": "SENTINEL" * 50}, "token"),
        ("gs://b/p", {"engine": "obstore", "access": "x"}, "access"),
        ("gs:///p", {"engine": "obstore"}, "no bucket"),
    ],
)
def test_what_cannot_be_is_refused_at_the_door(url, options, said, monkeypatch):
    """The message names the option and the way out, and has no secret."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(SettingsError, match=said) as caught:
        ObjectStore(url, **options)
    assert "SENTINEL" not in str(caught.value)


@pytest.mark.slow
def test_other_readers_are_handed_the_way_in(azure_server):
    """Pandas, polars, DuckDB and pyarrow read by url and storage_options what was put."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    duckdb, fsspec = pytest.importorskip("duckdb"), pytest.importorskip("fsspec")
    fs = pytest.importorskip("pyarrow.fs")
    frame = pd.DataFrame({"a": [1, 2, 3]})
    bucket = azure_server.new_bucket()
    with ObjectStore(f"abfs://{bucket}/p", **azure_server.options, engine="obstore") as store:
        view = store.at(namespace="dev", run="r1")
        view.put("table.parquet", frame)
        view.put("features", frame)
        table, features = view.url("table.parquet"), view.url("features")
        assert pd.read_parquet(table, storage_options=view.storage_options("pandas")).equals(frame)
        how = view.storage_options("polars")
        assert 6 == pl.scan_parquet(table, storage_options=how).collect()["a"].sum()
        assert 6 == pl.scan_ipc(features, storage_options=how).collect()["a"].sum()
        with duckdb.connect() as connection:
            connection.register_filesystem(
                fsspec.filesystem("abfs", **view.storage_options("duckdb"))
            )
            got = connection.sql(f"SELECT sum(a) FROM '{table}'").fetchall()
        assert [(6,)] == got
        files = fs.AzureFileSystem(**view.storage_options("pyarrow"))
        path = features.removeprefix("abfs://")
        data = pyarrow.dataset.dataset(path, format="feather", filesystem=files)
        assert [1, 2, 3] == data.to_table()["a"].to_pylist()


@pytest.mark.slow
def test_a_presigned_url_of_azure_needs_no_credentials(azure_server):
    """Plain urllib reads by it, and writes only by one that was made for that."""
    bucket = azure_server.new_bucket()
    with ObjectStore(f"abfs://{bucket}/p", **azure_server.options, engine="obstore") as store:
        view = store.at(namespace="dev", run="r1")
        view.put("a/é %b+=.html", "<h1>")
        url = view.presign("a/é %b+=.html", 60)
        assert (200, b"<h1>") == _status(url)
        assert 403 == _status(url, "PUT", b"forged")[0]
        assert 403 == _status(url.replace("sig=", "sig=A"))[0]
        assert 201 == _status(view.presign("up.txt", 60, "PUT"), "PUT", b"up")[0]
        assert "up" == view.get("up.txt")
    with (
        ObjectStore(
            f"abfs://{bucket}/p", account_name="a", sas_token="sv=1&sig=x", engine="obstore"
        ) as other,
        pytest.raises(InvalidRequestError, match="signed by a key"),
    ):
        other.at(namespace="dev", run="r1").presign("x", 60)


def _status(url, method="GET", data=None):
    request = urllib.request.Request(url, data, method=method)
    request.add_header("x-ms-blob-type", "BlockBlob")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as exc:
        return exc.code, b""


def test_a_url_of_google_is_signed_with_the_account_s_key():
    """For an hour, for one kind of request; nothing is asked of anybody."""
    key = {"private_key": _private_key(), "private_key_id": "1", "client_email": "me@example.com"}
    account = {"token": {"type": "service_account", **key}}
    with ObjectStore("gs://bucket/p", **account, engine="obstore") as store:
        view = store.at(namespace="dev", run="r:1")
        url = view.presign("a.txt", 3600, "PUT")
        assert "/bucket/p/dev/r%253A1/a.txt?" in url
        assert "X-Goog-Expires=3600" in url
        assert json.loads(view.storage_options("polars")["google_service_account_key"])
        assert account["token"] == view.storage_options("pandas")["token"]
        with pytest.raises(InvalidRequestError, match="takes no account"):
            view.storage_options("pyarrow")
    with ObjectStore("gs://bucket/p", token="anon", engine="obstore") as store:
        view = store.at(namespace="dev", run="r1")
        assert view.storage_options("pyarrow")["anonymous"]
        with pytest.raises(InvalidRequestError, match="signed by a key"):
            view.presign("a.txt", 60)


def _private_key():
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

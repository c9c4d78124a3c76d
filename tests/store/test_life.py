"""What a store holds, and when it gives it back."""

import copy
import gc
import pickle
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.places.s3_ import ENGINES, open_store, options
from tests.servers.recorder import Recorder

from runstore import ObjectStore, object_store, run_context
from runstore.errors import SettingsError, StoreClosedError
from runstore.places._s3 import _clients

_CALLS = {
    "put": lambda view: view.put("a", 1),
    "get": lambda view: view.get("a"),
    "exists": lambda view: view.exists("a"),
    "stat": lambda view: view.stat("a"),
    "list": lambda view: view.list(),
    "delete": lambda view: view.delete("a"),
    "copy": lambda view: view.copy("a", to_name="b"),
    "put_many": lambda view: view.put_many({"a": 1}),
    "get_many": lambda view: view.get_many(["a"]),
    "delete_many": lambda view: view.delete_many(["a"]),
    "runs": lambda view: view.store.runs(),
    "namespaces": lambda view: view.store.namespaces(),
    "delete_run": lambda view: view.store.delete_run("r1", namespace="dev"),
    "sweep": lambda view: view.store.sweep(),
    "with": lambda view: view.store.__enter__(),
}


@pytest.mark.parametrize("call", _CALLS)
def test_a_closed_store_raises_from_every_verb(store, view, call):
    """After close(), which can be repeated, every verb of the store and its views raises."""
    view.put("a", 1)
    store.close()
    store.close()
    with pytest.raises(StoreClosedError, match="was closed"):
        _CALLS[call](view)
    assert "closed" in repr(store)


def test_a_store_is_closed_at_the_end_of_its_block(tmp_path):
    """`with ObjectStore(…) as store` closes it; what was stored on disk stays."""
    with ObjectStore(tmp_path / "store") as store:
        store.at(namespace="dev", run="r1").put("a", 1)
    with pytest.raises(StoreClosedError):
        store.runs()
    with ObjectStore(tmp_path / "store") as again:
        assert 1 == again.at(namespace="dev", run="r1").get("a")


def test_values_outlive_their_store(store, view):
    """What was read stays valid and writable when the store is closed."""
    view.put("a", bytes(300_000))
    value = view.get("a")
    store.close()
    assert bytes(300_000) == value


def test_memory_ends_with_the_last_store_that_is_closed():
    """Objects of memory://name go when every store that was opened under it has been closed."""
    with ObjectStore("memory://life-1") as store:
        with run_context(store=store):
            object_store.put("a", 1)
            with ObjectStore() as inside:
                assert 1 == inside.get("a")
            assert 1 == object_store.get("a")
        assert ["default"] == store.namespaces()
    assert [] == ObjectStore("memory://life-1").namespaces()


def test_memory_lives_as_long_as_a_store_that_was_never_closed():
    """A store that is dropped without close() leaves its objects for the next of its name."""
    ObjectStore("memory://life-2").at(namespace="dev", run="r1").put("a", 1)
    gc.collect()
    with ObjectStore("memory://life-2") as store:
        assert 1 == store.at(namespace="dev", run="r1").get("a")
    assert ["dev"] == ObjectStore("memory://life-2").namespaces()


def test_a_store_without_a_url_is_that_of_the_run(tmp_path, monkeypatch):
    """Inside a run ObjectStore() is the run's own store, whatever RUNSTORE_URL says."""
    monkeypatch.setenv("RUNSTORE_URL", str(tmp_path / "other"))
    with run_context(store=tmp_path / "own") as ctx:
        object_store.put("a", 1)
        assert 1 == ObjectStore().get("a")
        assert 1 == ObjectStore(ctx.store).get("a")
        assert ctx.store == ObjectStore().address
        assert "deny" == ObjectStore(ctx.store, pickle="deny").address.pickle
        assert ctx.store.url == ObjectStore(timeout=7, pickle="deny", durable=True).url
    assert f"file://{tmp_path}/other" == ObjectStore().url


def test_a_store_in_a_stage_is_that_of_the_run(tmp_path, monkeypatch):
    """Stages of a workflow find what they stored through ObjectStore(), too."""
    from runstore import run_workflow

    monkeypatch.setenv("RUNSTORE_URL", str(tmp_path / "other"))

    def stage():
        ObjectStore().put("a", 1)
        return object_store.get("a")

    spec = {"stages": [{"name": "one", "target": stage}]}
    run = run_workflow(
        {"kind": "workflow", "metadata": {"name": "w"}, "spec": spec}, store=tmp_path
    )
    assert 1 == run.result


@pytest.mark.parametrize("wrong", [42, b"bytes", ["a"], object()])
def test_what_is_no_place_is_refused(wrong):
    """A store is opened at a path, a URL or an address, and nothing else."""
    with pytest.raises(SettingsError, match="url"):
        ObjectStore(wrong)


def test_credentials_live_as_long_as_a_context_that_names_them(tmp_path):
    """A context goes on when its store object is gone: the credentials are still known."""
    with Recorder(tmp_path) as server:
        store = ObjectStore("s3://b/p", key="EXPLICIT", secret="s", endpoint_url=server.endpoint)
        with run_context(store=store):
            del store
            gc.collect()
            object_store.put("a", 1)
    assert {"EXPLICIT"} == {request.key for request in server.requests}


@pytest.mark.parametrize(
    "crossed", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_a_closed_store_takes_its_credentials_along(tmp_path, monkeypatch, crossed):
    """No context uses them any more, and none takes others from the environment instead."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "o")
    with Recorder(tmp_path) as server:
        store = ObjectStore("s3://b/p", key="K", secret="s", endpoint_url=server.endpoint)
        with store, run_context(store=store) as ctx:
            object_store.put("a", 1)
        address = crossed(ctx.store)
        with pytest.raises(StoreClosedError, match="make it anew with key="):
            ObjectStore.from_address(address)
    assert {"K"} == {request.key for request in server.requests}


def test_closing_a_store_of_the_run_leaves_the_run_its_credentials(tmp_path):
    """Only the store that brought credentials takes them along."""
    with Recorder(tmp_path) as server:
        store = ObjectStore("s3://b/p", key="K", secret="s", endpoint_url=server.endpoint)
        with run_context(store=store):
            with ObjectStore() as inside:
                inside.put("a", 1)
            object_store.put("b", 2)
            store.at(namespace="n", run="r").put("c", 3)
    assert ["K"] * 3 == [request.key for request in server.requests]


def test_credentials_are_gone_with_the_last_that_names_them():
    """Nothing of a store that was made with credentials is left when it is dropped."""
    from runstore.objects import _opening

    gc.collect()
    before = len(_opening._credentials)
    stores = [ObjectStore(f"s3://b/p{i}", key=f"K{i}", secret="s") for i in range(50)]
    assert before + 50 == len(_opening._credentials)
    del stores
    gc.collect()
    assert before == len(_opening._credentials)


def test_another_process_takes_its_own_credentials(tmp_path):
    """A pickled address has no secret in it; where it arrives, the environment's are used."""
    store = ObjectStore("s3://b/p", key="K", secret="TOPSECRET", endpoint_url="http://localhost:1")
    wire = pickle.dumps(store.address)
    assert b"TOPSECRET" not in wire
    code = (
        "import pickle, sys; from runstore import ObjectStore; "
        "print(ObjectStore.from_address(pickle.loads(sys.stdin.buffer.read())).url)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], input=wire, capture_output=True, check=True
    )
    assert b"s3://b/p\n" == ended.stdout


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
def test_stores_of_one_configuration_share_a_client(tmp_path, engine):
    """Sixty prefixes of a bucket are reached by one client, which ends with its last user."""
    gc.collect()
    before = len(_clients._clients)
    with Recorder(tmp_path) as server:
        given = {"key": "K", "secret": "s", "endpoint_url": server.endpoint}
        stores = [ObjectStore(f"s3://b/{i}", engine=engine, **given) for i in range(60)]
        for store in stores:
            store.at(namespace="n", run="r").put("a", 1)
        assert before + 1 == len(_clients._clients)
        other = ObjectStore("s3://b/0", engine=engine, **given | {"key": "L"})
        other.at(namespace="n", run="r").put("a", 1)
        assert before + 2 == len(_clients._clients)
        stores[0].close()
        stores[1].at(namespace="n", run="r").put("b", 1)
        for store in [*stores, other]:
            store.close()
        gc.collect()
        assert before == len(_clients._clients)


@pytest.mark.parametrize("engine", ENGINES)
def test_credentials_that_change_in_the_environment_are_taken_up(tmp_path, monkeypatch, engine):
    """The next call of an open store signs with what the environment says by then."""
    with Recorder(tmp_path) as server:
        view = ObjectStore("s3://b/p", engine=engine, endpoint_url=server.endpoint).at(
            namespace="n", run="r"
        )
        for key in ("FIRST", "SECOND"):
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
            view.put("a", 1)
    assert ["FIRST", "SECOND"] == [request.key for request in server.requests]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_first_failure_to_find_credentials_is_not_final(tmp_path, monkeypatch, engine):
    """A store that found no credentials finds those that are there later, in a file, too."""
    from runstore.errors import AccessDeniedError

    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with Recorder(tmp_path) as server:
        view = ObjectStore("s3://b/p", engine=engine, endpoint_url=server.endpoint).at(
            namespace="n", run="r"
        )
        with pytest.raises(AccessDeniedError):
            view.put("a", 1)
        (tmp_path / "credentials").write_text(
            "[default]\naws_access_key_id = FILE\naws_secret_access_key = s\n"
        )
        view.put("a", 1)
    assert ["FILE"] == [request.key for request in server.requests]


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
def test_close_gives_back_sockets_and_threads(seaweed_server, engine):
    """After close() no connection to the server is open."""
    store = open_store(seaweed_server, engine)
    port = seaweed_server.endpoint.rpartition(":")[2]
    gc.collect()
    before = _connections(port)
    store.at(namespace="n", run="r").put_many({str(i): i for i in range(20)})
    assert _connections(port) > before
    store.close()
    end = time.monotonic() + 200
    while _connections(port) > before and time.monotonic() < end:
        time.sleep(0.05)
    assert _connections(port) <= before


def _connections(port):
    """Count this process's own connections to a port."""
    mine = set()
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed just now
            mine.add(str(fd.readlink()))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    to_port = [row[9] for row in rows if row[2].endswith(f":{int(port):04X}")]
    return sum(f"socket:[{inode}]" in mine for inode in to_port)


def test_two_stores_of_one_address_are_closed_apart(seaweed_server):
    """Closing one of them leaves the other its client."""
    bucket = seaweed_server.new_bucket()
    one, two = (ObjectStore(f"s3://{bucket}/p", **options(seaweed_server)) for _ in range(2))
    one.at(namespace="n", run="r").put("a", 1)
    assert 1 == two.at(namespace="n", run="r").get("a")
    one.close()
    assert 1 == two.at(namespace="n", run="r").get("a")

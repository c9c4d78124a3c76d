"""Stores in filesystems of fsspec: by URL, and of the user's own."""

import errno
import json
import pickle
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from fsspec.implementations.cached import SimpleCacheFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem

from runstore import ObjectStore, object_store, run_workflow
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    IndeterminateWriteError,
    InvalidRequestError,
    MissingExtraError,
    ObjectNotFoundError,
    SettingsError,
    StorageError,
    StorageFullError,
)
from runstore.places import Guarantees, Opening, register_place
from runstore.places._fsspec._dialects import dialect_of, version_in
from runstore.places._memory import MemoryBackend


class OwnLocalFileSystem(LocalFileSystem):
    """A local filesystem of somebody's, which may do things of its own."""


class Failing(MemoryFileSystem):
    """A memory that raises what it is told to."""

    cachable = False
    error: BaseException | None = None
    on = "info"

    def _may_fail(self, name):
        if self.error is not None and name == self.on:
            raise self.error

    def info(self, path, **kwargs):
        self._may_fail("info")
        return super().info(path, **kwargs)

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        self._may_fail("pipe_file")
        super().pipe_file(path, value, mode=mode, **kwargs)


def test_fsspecs_memory_is_really_used():
    """What is put is found in the filesystem by whoever looks into it, and the reverse."""
    fs, root = MemoryFileSystem(), f"/{uuid.uuid4()}"
    view = ObjectStore(fs=fs, root=root).at(namespace="dev", run="r1")
    view.put("a.json", {"x": 1})
    assert [f"{root}/dev/r1/a.json"] == fs.find(root)
    fs.rm_file(f"{root}/dev/r1/a.json")
    assert [] == view.list()


def test_a_run_keeps_what_it_makes_in_a_filesystem_of_the_users():
    """Stages in threads find the very filesystem, also one that is this object's alone."""

    def stage():
        object_store.put("made", [1, 2])

    own = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    for fs in (MemoryFileSystem(), own):
        store = ObjectStore(fs=fs, root=f"/{uuid.uuid4()}")
        stages = {"stages": [{"name": "s", "target": stage}]}
        flow = {"kind": "workflow", "metadata": {"name": "w"}, "spec": stages}
        run = run_workflow(flow, store=store)
        assert [1, 2] == store.at(namespace="default", run=run.name).get("made")
        assert fs.find(store.url.removeprefix("memory://"))
    for store in (ObjectStore(fs=own, root="/x"), ObjectStore("dir::memory://x")):
        with pytest.raises(InvalidRequestError, match="memory of this process"):
            run_workflow(flow, store=store, executor_options={"mode": "processes"})


def test_another_process_opens_the_same_filesystem(tmp_path):
    """A store in a filesystem of the user's crosses as JSON, and another process reads what is."""
    store = ObjectStore(fs=OwnLocalFileSystem(), root=str(tmp_path / "root"))
    assert "FsspecBackend" in repr(store)
    store.at(namespace="dev", run="r1").put("a", {"x": [1.5]})
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).get('a'))"
    view = pickle.dumps(store.at(namespace="dev", run="r1"))
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", code], input=view, cwd=root, capture_output=True)
    assert (b"{'x': [1.5]}\n", b"") == (found.stdout, found.stderr)


def test_plain_filesystems_get_the_fast_paths(tmp_path, monkeypatch):
    """A plain local filesystem is a local store, one of s3fs is S3 if it has no other settings."""
    s3fs = pytest.importorskip("s3fs")
    root = str(tmp_path / "root")
    local = [
        ObjectStore(fs=LocalFileSystem(), root=root),
        ObjectStore(fs=DirFileSystem(str(tmp_path), LocalFileSystem()), root="root"),
        ObjectStore(f"dir::file://{root}"),
        ObjectStore(f"simplecache::file://{root}"),
    ]
    for store in local:
        assert store.guarantees.mapped, store
    assert f"file://{root}" == local[0].url == local[1].url
    same = {"endpoint_url": "http://127.0.0.1:9", "key": "k", "secret": "very-secret"}
    as_s3 = ObjectStore(fs=s3fs.S3FileSystem(**same), root="bucket/p")
    assert "S3Backend" in repr(as_s3)
    assert "very-secret" not in repr(as_s3.address)
    own = s3fs.S3FileSystem(s3_additional_kwargs={"CacheControl": "no-cache"}, **same)
    assert "FsspecBackend" in repr(ObjectStore(fs=own, root="bucket/p"))


def test_a_cache_is_gone_beneath():
    """A filesystem that caches whole files shows no old object, as the one beneath is used."""
    fs, root = MemoryFileSystem(), f"/{uuid.uuid4()}"
    cached = ObjectStore(fs=SimpleCacheFileSystem(fs=fs), root=root).at(namespace="n", run="r")
    other = ObjectStore(fs=fs, root=root).at(namespace="n", run="r")
    for value in ("one", "two"):
        other.put("a", value)
        assert value == cached.get("a")


def test_no_secret_leaves_the_process():
    """Passwords in URLs, options and filesystems are in no address, repr or pickle."""
    pytest.importorskip("sshfs")
    key = {"password": "very-secret", "headers": {"Authorization": "very-secret"}}
    stores = [
        ObjectStore("sftp://me:very-secret@host/p"),
        ObjectStore("sftp://me@host/p", password="very-secret"),
        ObjectStore("webdav://me@host/p", password="very-secret"),
        ObjectStore(fs=MemoryFileSystem(token="very-secret"), root="/x"),
        ObjectStore(fs=DirFileSystem("/x", MemoryFileSystem(**key)), root="y"),
    ]
    for store in stores:
        for shown in (repr(store), repr(store.backend), repr(store.address), str(store.url)):
            assert "very-secret" not in shown
        assert b"very-secret" not in pickle.dumps(store)
        assert "very-secret" not in store.address.model_dump_json()
        assert store.address.kept is not None
        with pytest.raises(InvalidRequestError, match=r"stay in this process|memory of this"):
            run_workflow(
                {"kind": "workflow", "metadata": {"name": "w"}, "spec": {"stages": []}}
                | {"spec": {"stages": [{"name": "s", "target": "os.getpid"}]}},
                store=store,
                executor_options={"mode": "processes"},
            )
    open_ones = {"anon": True, "token": "anon", "project": "p", "client_keys": [__file__]}
    with_options = ObjectStore(fs=MemoryFileSystem(**open_ones), root="/x")
    document = with_options.address.filesystem.partition(" ")[2]
    assert open_ones.items() <= json.loads(document)["filesystem"].items()
    assert with_options.address.kept is None


class _HttpError(Exception):
    def __init__(self, code):
        self.code = code


class ConnectionLost(Exception):
    """Of a library that does not derive its errors from OSError."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError("x"), ObjectNotFoundError),
        (PermissionError(errno.EACCES, "denied"), AccessDeniedError),
        (TimeoutError(), BackendUnavailableError),
        (ConnectionResetError(errno.ECONNRESET, "reset"), BackendUnavailableError),
        (ConnectionLost("gone"), BackendUnavailableError),
        (_HttpError(401), AccessDeniedError),
        (_HttpError("503"), BackendUnavailableError),
        (_HttpError(404), StorageError),  # of what, nobody says: no miss
        (_HttpError(507), StorageFullError),
        (KeyError("bug"), StorageError),
        (TypeError("bug"), StorageError),
    ],
    ids=repr,
)
def test_only_a_missing_file_is_a_miss(error, expected):
    """What a filesystem raises becomes one kind of ours, and a miss in one case only."""
    fs = Failing()
    view = ObjectStore(fs=fs, root=f"/{uuid.uuid4()}").at(namespace="dev", run="r1")
    view.put("a", 1)
    fs.error = error
    for call in (lambda: view.get("a"), lambda: view.stat("a"), lambda: view.delete("a")):
        with pytest.raises(expected) as caught:
            call()
        assert expected is type(caught.value)
    if expected is ObjectNotFoundError:
        assert not view.exists("a")
    else:
        with pytest.raises(expected):
            view.exists("a")
        with pytest.raises(expected):
            view.get("a", default=None)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), BackendUnavailableError),
        (TimeoutError(), IndeterminateWriteError),
        (ConnectionLost("gone"), IndeterminateWriteError),
        (_HttpError(502), IndeterminateWriteError),
        (_HttpError(403), AccessDeniedError),
        (FileNotFoundError("bucket"), StorageError),
    ],
    ids=repr,
)
def test_a_lost_answer_to_a_write_is_said(error, expected):
    """A write whose answer is lost may have landed, which is said; one that was refused has not."""
    fs = Failing()
    fs.error, fs.on = error, "pipe_file"
    view = ObjectStore(fs=fs, root=f"/{uuid.uuid4()}").at(namespace="dev", run="r1")
    with pytest.raises(expected) as caught:
        view.put("a", 1)
    assert expected is type(caught.value)


class Plain(AbstractFileSystem):
    """A filesystem that no table knows, over a folder, with what fsspec gives it and no more."""

    protocol = "plain"

    def _open(self, path, mode="rb", **kwargs):
        return open(path, mode)  # noqa: PTH123

    def info(self, path, **kwargs):
        found = Path(path).stat()
        kind = "directory" if Path(path).is_dir() else "file"
        at = datetime.fromtimestamp(found.st_mtime, UTC)
        return {"name": path, "size": found.st_size, "type": kind, "mtime": at}

    def ls(self, path, detail=True, **kwargs):
        return [self.info(str(one)) for one in Path(path).iterdir()]

    def makedirs(self, path, exist_ok=False):
        Path(path).mkdir(parents=True, exist_ok=exist_ok)

    def _rm(self, path):
        Path(path).unlink()


class Renaming(Plain):
    """The same, with a way to rename."""

    protocol = "renaming"

    def mv(self, path1, path2, **kwargs):
        Path(path1).replace(path2)


def test_an_unknown_filesystem_is_tried(tmp_path):
    """One that renames gets atomic puts; one that copies is refused, unless torn puts are taken."""
    root = str(tmp_path / "root")
    view = ObjectStore(fs=Renaming(), root=root).at(namespace="dev", run="r1")
    view.put("a", [1])
    assert [1] == view.get("a")
    assert "rename" == view.store.guarantees.atomic_put
    assert [] == list((tmp_path / "root" / ".runstore-tmp").iterdir())
    refused = ObjectStore(fs=Plain(), root=root).at(namespace="dev", run="r1")
    with pytest.raises(StorageError, match=r"see half of it.*allow_torn=True"):
        refused.put("b", [2])
    assert [1] == refused.get("a")
    torn = ObjectStore(fs=Plain(), root=root, allow_torn=True).at(namespace="dev", run="r1")
    torn.put("b", [2])
    assert [2] == refused.get("b")
    assert "torn puts" in repr(torn)
    for condition in ({"if_absent": True}, {"if_match": "x"}):
        with pytest.raises(StorageError, match=next(iter(condition))):
            torn.put("c", [3], **condition)


class Lost(Renaming):
    """The same, over a connection that is lost once, while it is tried."""

    protocol = "lost"
    cachable = False
    losses = 1

    def mv(self, path1, path2, **kwargs):
        if self.losses:
            self.losses -= 1
            raise ConnectionResetError(errno.ECONNRESET, "connection reset by peer")
        super().mv(path1, path2, **kwargs)


def test_an_outage_while_a_filesystem_is_tried_says_nothing_of_what_it_can(tmp_path):
    """The put fails as an outage does; the next one tries again, and is atomic."""
    view = ObjectStore(fs=Lost(), root=str(tmp_path)).at(namespace="dev", run="r1")
    with pytest.raises(BackendUnavailableError):
        view.put("a", 1)
    view.put("a", 2)
    assert 2 == view.get("a")
    assert "rename" == view.store.guarantees.atomic_put


def test_the_web_is_read_only(tmp_path):
    """A place over http:// refuses what would change it, allow_torn or not."""
    view = ObjectStore("http://127.0.0.1:9/x", allow_torn=True).at(namespace="dev", run="r1")
    with pytest.raises(AccessDeniedError, match="can only be read"):
        view.put("a", 1)


class _Files(SimpleHTTPRequestHandler):
    """A web server for the files of a folder, which tells no sizes in its listings."""

    def log_message(self, *args):
        """Say nothing."""


def test_a_folder_behind_a_web_server_is_read_by_name(tmp_path):
    """`get` finds an object; what the server does not tell is an error that says so."""
    ObjectStore(tmp_path).at(namespace="dev", run="r1").put("a", {"b": 1})
    server = HTTPServer(("127.0.0.1", 0), partial(_Files, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with ObjectStore(f"http://127.0.0.1:{server.server_port}") as store:
            view = store.at(namespace="dev", run="r1")
            assert {"b": 1} == view.get("a")
            with pytest.raises(StorageError, match="no size that the place tells"):
                view.list()
            with pytest.raises(AccessDeniedError, match="can only be read"):
                view.delete("a")
    finally:
        server.shutdown()
        server.server_close()


def test_a_time_names_the_same_version_however_it_is_told():
    """A filesystem may give seconds in a listing and a date elsewhere, or zeros at the end."""
    told = 1795850990.99978
    dialect = dialect_of(MemoryFileSystem())
    versions = {
        version_in(dialect, {"created": created, "size": 3})
        for created in (told, datetime.fromtimestamp(told, UTC))
    }
    assert 1 == len(versions)


class _Answers(BaseHTTPRequestHandler):
    """A web server that answers with the status that its path begins with."""

    def do_GET(self):
        self.send_error(int(self.path.split("/")[1]))

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def test_an_outage_of_the_web_is_no_miss():
    """fsspec says FileNotFoundError of whatever happens; what happened is told."""
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            for status, expected in (
                (404, ObjectNotFoundError),
                (403, AccessDeniedError),
                (503, BackendUnavailableError),
            ):
                store = ObjectStore(f"http://127.0.0.1:{server.server_port}/{status}")
                with store, pytest.raises(expected):
                    store.at(namespace="dev", run="r1").get("x")
        finally:
            server.shutdown()
        port = server.server_port
    with (
        ObjectStore(f"http://127.0.0.1:{port}/x") as store,
        pytest.raises(BackendUnavailableError),
    ):
        store.at(namespace="dev", run="r1").get("x")


def test_what_cannot_be_opened_says_why():
    """Unknown schemes, missing packages, contradicting arguments: one sentence each."""
    with pytest.raises(SettingsError, match="scheme 'nope'"):
        ObjectStore("nope://x")
    with pytest.raises(MissingExtraError, match="smbprotocol"):
        ObjectStore("smb://host/share")
    for wrong in (
        {"url": "memory://x", "fs": MemoryFileSystem()},
        {"root": "x"},
        {"fs": MemoryFileSystem(), "root": "/x", "token": "y"},
        {"fs": "memory"},
    ):
        with pytest.raises(SettingsError):
            ObjectStore(**wrong)
    gcsfs = pytest.importorskip("gcsfs")
    with pytest.raises(SettingsError, match="names a bucket"):
        ObjectStore(fs=gcsfs.GCSFileSystem(token="anon"))


def test_a_missing_package_names_its_extra(monkeypatch):
    """Where the client of a scheme is not installed, the pip line is said."""
    extras = {"gs": "gcs", "abfs": "azure", "sftp": "sftp", "webdav": "webdav"}

    def missing(scheme):
        raise ImportError(scheme)

    monkeypatch.setattr("runstore.places._fsspec._opening.get_filesystem_class", missing)
    for scheme, extra in extras.items():
        with pytest.raises(MissingExtraError, match=rf"pip install 'runstore\[{extra}\]'"):
            ObjectStore(f"{scheme}://x/y")


def test_a_place_of_ones_own_opens_its_scheme():
    """A registered scheme is opened by what was registered, without the secrets in the address."""
    seen = []

    def opener(opening: Opening):
        seen.append(opening)
        return MemoryBackend(opening.url)

    scheme = f"own{uuid.uuid4().hex[:6]}"
    register_place(scheme, opener, secrets=("badge",))
    store = ObjectStore(f"{scheme}://x", badge="b", colour="red", timeout=5)
    assert isinstance(store.guarantees, Guarantees)
    assert {"badge": "b", "colour": "red"} == seen[0].options
    assert ({"colour": "red"}, 5) == (store.address.options, seen[0].timeout)
    with pytest.raises(SettingsError, match="itself"):
        register_place("s3", opener)


def test_importing_runstore_does_not_import_fsspec():
    """fsspec is imported with the first place that needs it."""
    code = "import sys, runstore; runstore.ObjectStore('memory://'); print('fsspec' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "False\n" == found.stdout

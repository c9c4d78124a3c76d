"""The contract of a place, kept on servers that are reached through fsspec: `make test-places`."""

import os
import time
import uuid
import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.places.test_fsspec import FsspecTests

from runstore import ObjectStore
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    BucketNotFoundError,
    IndeterminateWriteError,
)
from runstore.places import open_backend
from runstore.testing import PlaceTests

pytestmark = [
    pytest.mark.slow,
    # gcsfs hands aiohttp more bytes at a time than that likes.
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),
]


class TestSftp(FsspecTests):
    """An SFTP server keeps the contract."""

    repeats = 2

    @pytest.fixture
    def backend(self, sftp_server):
        url = f"{sftp_server.url}/{uuid.uuid4()}"
        backend = open_backend(url, options=sftp_server.options)
        yield backend
        backend.close()

    def raw_read(self, backend, key):
        return Path("/" + backend.url.split("/", 3)[3], key).read_bytes()


class TestWebdav(FsspecTests):
    """A WebDAV server keeps the contract."""

    repeats = 2

    @pytest.fixture
    def backend(self, webdav_server):
        self.folder = webdav_server.folder
        url = f"{webdav_server.url}{uuid.uuid4()}"
        backend = open_backend(url, options=webdav_server.options)
        yield backend
        backend.close()

    def raw_read(self, backend, key):
        return Path(self.folder, backend.url.split("/", 3)[3], key).read_bytes()


class TestGcs(PlaceTests):
    """A GCS emulator keeps the contract."""

    repeats = 2

    @pytest.fixture
    def backend(self, gcs_server):
        self.server, self.bucket = gcs_server, gcs_server.new_bucket()
        backend = open_backend(f"gs://{self.bucket}/some/prefix", options=gcs_server.options)
        yield backend
        backend.close()

    def raw_read(self, backend, key):
        return self.server.read(self.bucket, f"some/prefix/{key}")


def google_account(endpoint):
    """Give options for a server that wants no login."""
    account = {"type": "service_account", "gcs_base_url": endpoint, "disable_oauth": True}
    return {"token": account | {"client_email": "", "private_key": "", "private_key_id": ""}}


class TestGoogle(TestGcs):
    """Google's XML API in front of the emulator keeps the contract through obstore."""

    @pytest.fixture
    def backend(self, gcs_server, gcs_xml):
        self.server, self.bucket = gcs_server, gcs_server.new_bucket()
        url = f"gs://{self.bucket}/some/prefix"
        backend = open_backend(url, options=google_account(gcs_xml), engine="obstore")
        yield backend
        backend.close()


class TestAzure(TestGcs):
    """Azurite keeps the contract, conditions included, through obstore."""

    engine = "obstore"

    @pytest.fixture
    def backend(self, azure_server):
        self.server, self.bucket = azure_server, azure_server.new_bucket()
        url = f"abfs://{self.bucket}/some/prefix"
        backend = open_backend(url, options=azure_server.options, engine=self.engine)
        yield backend
        backend.close()


class TestAdlfs(TestAzure):
    """Azurite keeps the contract through adlfs, as far as that goes."""

    engine = "adlfs"


@pytest.mark.parametrize("kind", ["gcs", "azure"])
def test_a_missing_bucket_is_no_miss(kind, request):
    """What seems to be a missing object is a missing bucket, and said to be, by each verb."""
    server = request.getfixturevalue(f"{kind}_server")
    scheme = {"gcs": "gs", "azure": "abfs"}[kind]
    view = ObjectStore(f"{scheme}://not-there-{uuid.uuid4().hex[:8]}/p", **server.options)
    view = view.at(namespace="dev", run="r1")
    for call in (
        lambda: view.get("a", default=None),
        lambda: view.exists("a"),
        lambda: view.put("a", 1),
        lambda: view.list(),
        lambda: view.delete("a", missing_ok=True),
    ):
        with pytest.raises(BucketNotFoundError):
            call()


@pytest.mark.parametrize("kind", ["gcs", "azure", "webdav", "sftp"])
def test_a_server_that_is_gone_is_no_miss(kind):
    """Where nobody listens, every verb says so, and none takes it for a miss."""
    nobody = "127.0.0.1:9"
    url, options = {
        "gcs": ("gs://b/p", {"endpoint_url": f"http://{nobody}", "token": "anon"}),
        "azure": ("abfs://b/p", {"connection_string": _NOWHERE}),
        "webdav": (f"webdav://{nobody}/p", {}),
        "sftp": (f"sftp://{nobody}/p", {}),
    }[kind]
    view = ObjectStore(url, timeout=2, **options).at(namespace="dev", run="r1")
    for call in (lambda: view.exists("a"), lambda: view.get("a", default=None)):
        with pytest.raises(BackendUnavailableError):
            call()
    with pytest.raises((BackendUnavailableError, IndeterminateWriteError)):
        view.put("a", 1)


def test_a_wrong_password_is_no_miss(webdav_server, sftp_server):
    """A denial is said to be one, and never a miss."""
    options = webdav_server.options | {"password": "wrong"}
    denied = [
        ObjectStore(webdav_server.url, **options),
        ObjectStore(sftp_server.url, password="wrong", client_keys=[], agent_path=None),
    ]
    for store in denied:
        with store, pytest.raises(AccessDeniedError):
            store.at(namespace="dev", run="r1").get("a", default=None)


def test_a_lost_connection_is_made_anew(sftp_server):
    """After a connection was lost one call says so, and the next connects again."""
    with ObjectStore(f"{sftp_server.url}/{uuid.uuid4()}", **sftp_server.options) as store:
        view = store.at(namespace="dev", run="r1")
        view.put("a", 1)
        store.backend._calls.fs.client.abort()
        # The client may need a moment to notice.
        tries = lambda: [time.sleep(0.1) for _ in range(1000) if view.exists("a")]  # noqa: E731
        with pytest.raises(BackendUnavailableError):
            tries()
        assert 1 == view.get("a")


@pytest.mark.parametrize("kind", ["sftp", "gcs"])
def test_a_forked_child_connects_itself(kind, request):
    """A child reads and writes by connections of its own, and the parent's go on."""
    server = request.getfixturevalue(f"{kind}_server")
    url = server.url if kind == "sftp" else f"gs://{server.new_bucket()}/p"
    with ObjectStore(f"{url}/{uuid.uuid4()}", **server.options) as store:
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


def test_large_objects_stream(gcs_server, sftp_server, webdav_server):
    """An object larger than a piece goes up in pieces and comes back as it was."""
    value = np.arange(3 << 20)  # 24 MiB
    for url, server in (
        (f"gs://{gcs_server.new_bucket()}/p", gcs_server),
        (f"{sftp_server.url}/{uuid.uuid4()}", sftp_server),
        (f"{webdav_server.url}{uuid.uuid4()}", webdav_server),
    ):
        with ObjectStore(url, **server.options) as store:
            view = store.at(namespace="dev", run="r1")
            view.put("large", value)
            assert np.array_equal(value, view.get("large"))
            assert ["large"] == [info.name for info in view.list()]


_NOWHERE = (
    "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:9/a;"
)

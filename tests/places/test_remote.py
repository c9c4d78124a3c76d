"""The contract of a place, kept on servers that are reached through fsspec: `make test-places`."""

import uuid
from pathlib import Path

import pytest

from runstore.places import open_backend
from runstore.testing import PlaceTests

pytestmark = [
    pytest.mark.slow,
    # gcsfs hands aiohttp more bytes at a time than that likes.
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),
]


class TestSftp(PlaceTests):
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


class TestWebdav(PlaceTests):
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

"""The contract of a backend, kept by both engines on both servers."""

import pytest
from tests.places.s3_ import ENGINES, options

from runstore.places._s3 import S3Backend
from runstore.testing import PlaceTests


class S3Tests(PlaceTests):
    """The contract, on a server that a fixture gives."""

    repeats = 3

    @pytest.fixture(params=ENGINES)
    def backend(self, request):
        server = request.getfixturevalue(self.server)
        url = f"s3://{server.new_bucket()}/some/prefix"
        return S3Backend(url, engine=request.param, timeout=30, options=options(server))

    @pytest.fixture(autouse=True)
    def _server(self, request):
        self.running = request.getfixturevalue(self.server)

    def raw_read(self, backend, key):
        client = self.running.client()
        bucket, _, prefix = backend.url.removeprefix("s3://").partition("/")
        return client.get_object(Bucket=bucket, Key=f"{prefix}/{key}")["Body"].read()


@pytest.mark.extended  # a simulation; SeaweedFS is the production server
class TestMoto(S3Tests):
    """The S3 backend keeps the contract on moto."""

    server = "moto_server"


class TestSeaweed(S3Tests):
    """The S3 backend keeps the contract on SeaweedFS, which sorts its own way."""

    server = "seaweed_server"
    sorted_listing = False
    exact_folders = False


@pytest.mark.slow  # `make test-places`; test_s3_safety has what is its own
class TestRclone(S3Tests):
    """On a server that ignores conditions, the rest of the contract is kept and they raise."""

    server = "rclone_server"

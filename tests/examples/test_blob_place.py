"""The example of a place of one's own: one file and one line, and it keeps the whole contract."""

import sys
import urllib.request
import uuid
from pathlib import Path

import pytest
from tests.servers.blobs import TOKEN, blobs

from runstore import ObjectStore
from runstore.errors import AccessDeniedError, BackendUnavailableError
from runstore.places import open_backend, register_place
from runstore.testing import PlaceTests

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module", autouse=True)
def _registered():
    sys.path.insert(0, str(EXAMPLES))
    try:
        from blob_place import open_blobs
    finally:
        sys.path.remove(str(EXAMPLES))
    register_place("blobs", open_blobs)  # the one line


@pytest.fixture(scope="module")
def service():
    with blobs() as address:
        yield address


@pytest.mark.extended
class TestBlobs(PlaceTests):
    """The example keeps the contract of a place."""

    repeats = 2

    @pytest.fixture
    def backend(self, service):
        self.service = service
        return open_backend(f"blobs://{service}/{uuid.uuid4().hex}", options={"token": TOKEN})

    def raw_read(self, backend, key):
        host, _, name = backend.url.removeprefix("blobs://").partition("/")
        request = urllib.request.Request(f"http://{host}/blobs/{name}/{key}")
        request.add_header("Authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()


def test_a_store_is_opened_by_its_url(service):
    """The scheme opens a store, whose token is in no address; denial and outage are no miss."""
    store = ObjectStore(f"blobs://{service}/x", token=TOKEN)
    view = store.at(namespace="dev", run="r1")
    view.put("a/b", {"x": [1, 2]})
    assert {"x": [1, 2]} == view.get("a/b")
    assert TOKEN not in f"{store!r} {store.address!r}"
    for url, token, error in (
        (f"blobs://{service}/x", "wrong", AccessDeniedError),
        ("blobs://127.0.0.1:9/x", TOKEN, BackendUnavailableError),
    ):
        other = ObjectStore(url, token=token, timeout=60).at(namespace="dev", run="r1")
        with pytest.raises(error):
            other.get("a/b", default=None)

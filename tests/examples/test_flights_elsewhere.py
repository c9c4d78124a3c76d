"""The flights example in other places: unchanged but for the URL, and with the same report."""

import uuid

import pytest
from tests.examples.test_flights import run_flights

from runstore import ObjectStore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("flights"),
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),
]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The report of a run on local disk."""
    store = ObjectStore(str(tmp_path_factory.mktemp("flights")))
    return run_flights(store, "threads").result


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("sftp", "processes"), ("gcs", "processes"), ("azure", "threads"), ("webdav", "threads")],
)
def test_the_report_is_the_same(kind, mode, expected, request):
    """A run whose objects are on a server gives the report of a run on local disk."""
    server = request.getfixturevalue(f"{kind}_server")
    url = {
        "sftp": lambda: f"{server.url}/{uuid.uuid4()}",
        "gcs": lambda: f"gs://{server.new_bucket()}/flights",
        "azure": lambda: f"abfs://{server.new_bucket()}/flights",
        "webdav": lambda: f"{server.url}{uuid.uuid4()}",
    }[kind]()
    with ObjectStore(url, **server.options) as store:
        run = run_flights(store, mode)
        assert expected == run.result
        assert expected == store.read_run(run.name, namespace="default").result
        assert expected == store.at(namespace="default", run=run.name).get("report")

"""What every test stands on: its own empty working directory and no settings."""

import os
import uuid

import pytest
from tests.profiles import use_own_profile
from tests.usual_signals import use_usual_signals

pytest_plugins = ["tests.missing", "tests.engines.fixtures", "tests.servers.fixtures"]

# Both keep one contract (`PlaceTests`, `StoreMachine`), so what a store does is tried on one place
# by default, and on the other in the extended suite.
PLACES_NEARBY = [pytest.param("memory", marks=pytest.mark.extended), "local"]

use_own_profile()
use_usual_signals()


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    """Run each test where nothing of the user's or of another test's is found."""
    for name in [name for name in os.environ if name.startswith("RUNSTORE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=PLACES_NEARBY)
def store(request, tmp_path):
    """Give an empty store on each backend near by."""
    from runstore import ObjectStore

    if request.param == "memory":
        return ObjectStore(f"memory://{uuid.uuid4()}")
    return ObjectStore(tmp_path / "store")


@pytest.fixture
def view(store):
    """Give an empty view of that store, which needs no context."""
    return store.at(namespace="dev", run="r1")

"""What every test stands on: its own empty working directory and no settings."""

import os

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.engines.fixtures", "tests.servers.fixtures"]

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
settings.register_profile("default", max_examples=60, **_COMMON)
settings.register_profile("ci", max_examples=60, derandomize=True, **_COMMON)
settings.register_profile("nightly", max_examples=2000, **_COMMON)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default")
)


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    """Run each test where nothing of the user's or of another test's is found."""
    for name in [name for name in os.environ if name.startswith("RUNSTORE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["memory", "local"])
def store(request, tmp_path):
    """Give an empty store on each backend."""
    from runstore import ObjectStore

    if request.param == "memory":
        return ObjectStore(f"memory://{request.node.nodeid}")
    return ObjectStore(tmp_path / "store")


@pytest.fixture
def view(store):
    """Give an empty view of that store, which needs no context."""
    return store.at(namespace="dev", run="r1")

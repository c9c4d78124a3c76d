"""What every test stands on: its own empty working directory and no settings."""

import os
import signal
import uuid

import pytest
from tests.profiles import use_own_profile

pytest_plugins = ["tests.missing", "tests.engines.fixtures", "tests.servers.fixtures"]

use_own_profile()
# A shell starts what it puts in the background deaf to Ctrl-C, and nohup what it starts to SIGHUP.
# Programs inherit that, and tests send both to programs of theirs.
for _number, _usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)


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
        return ObjectStore(f"memory://{uuid.uuid4()}")
    return ObjectStore(tmp_path / "store")


@pytest.fixture
def view(store):
    """Give an empty view of that store, which needs no context."""
    return store.at(namespace="dev", run="r1")

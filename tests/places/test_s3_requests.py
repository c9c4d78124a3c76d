"""How many requests each verb makes, as the server itself counts them."""

import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from tests.places.s3_ import ENGINES, environment, open_store

pytestmark = pytest.mark.parametrize("engine", ENGINES)


class Counted:
    """A bucket whose requests are counted."""

    def __init__(self, server, engine):
        self.server, self.bucket = server, server.new_bucket()
        self.store = open_store(server, engine, self.bucket)
        self.view = self.store.at(namespace="dev", run="r1")

    def during(self, call):
        before = self.server.requests(self.bucket)
        call()
        time.sleep(0.3)  # the completion of an upload is counted late
        return self.server.requests(self.bucket) - before


@pytest.fixture
def counted(seaweed_server, engine):
    return Counted(seaweed_server, engine)


def test_each_verb_makes_one_request(counted):
    """put, get, exists and stat are one request each, and delete is two; from the first on."""
    frame, view = np.arange(1000.0), counted.view
    assert Counter({("PUT", "200"): 1}) == counted.during(lambda: view.put("a", frame))
    assert Counter({("GET", "206"): 1}) == counted.during(lambda: view.get("a"))
    assert Counter({("GET", "206"): 1}) == counted.during(lambda: view.exists("a"))
    assert Counter({("GET", "404"): 1}) == counted.during(lambda: view.exists("b"))
    assert Counter({("GET", "206"): 1}) == counted.during(lambda: view.stat("a"))
    assert Counter({("LIST", "200"): 1}) == counted.during(lambda: view.list())
    assert 2 == counted.during(lambda: view.delete("a")).total()


def test_eight_mib_are_one_request(counted):
    """An object of nearly 8 MiB is one request up and one down."""
    value = np.zeros((8 << 20) - 10_000, "u1")
    assert Counter({("PUT", "200"): 1}) == counted.during(lambda: counted.view.put("a", value))
    assert Counter({("GET", "206"): 1}) == counted.during(lambda: counted.view.get("a"))


def test_many_are_one_request_each(counted):
    """put_many and get_many make one request an item, delete_many one look each and one removal."""
    values, view = {f"n{i}": i for i in range(30)}, counted.view
    assert Counter({("PUT", "200"): 30}) == counted.during(lambda: view.put_many(values))
    assert Counter({("GET", "206"): 30}) == counted.during(lambda: view.get_many(values))
    removal = counted.during(lambda: view.delete_many(values))
    assert 30 == removal["GET", "206"]
    assert 31 == removal.total()
    view.put_many(values)
    assert 1 == counted.during(lambda: view.delete_many(values, missing_ok=True)).total()


def test_a_large_object_is_its_parts(counted):
    """A large put begins, sends its parts and completes; a get reads ranges; nothing else."""
    value = np.arange(5 << 20, dtype="i8")  # 40 MiB
    up = counted.during(lambda: counted.view.put("a", value)).total()
    assert 7 <= up <= 8  # 5 parts of 8 MiB and a little, begun and completed
    down = counted.during(lambda: counted.view.get("a"))
    assert Counter({("GET", "206"): 4}) == down


def test_one_column_is_three_requests(counted):
    """One column of a table of 40 MiB: its footer, its message and the column, not the rest."""
    view = counted.view
    view.put("a", pa.table({f"c{i}": np.arange(5 << 16, dtype="f8") for i in range(16)}))
    got = {}
    down = counted.during(lambda: got.update(part=view.get("a", columns=["c7"])))
    assert Counter({("GET", "206"): 3}) == down
    assert ["c7"] == got["part"].column_names


_MEMORY = """
import resource, sys
import numpy as np
from runstore import ObjectStore
view = ObjectStore(sys.argv[1], engine=sys.argv[2]).at(namespace="dev", run="r")
value = np.ones(int(sys.argv[3]) << 20, "u1")
view.put("small", value[: 20 << 20])
view.get("small")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
view.put("a", value)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.parametrize(
    "size", [256, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
def test_a_large_put_takes_little_memory(seaweed_server, engine, size, monkeypatch):
    """Putting 256 MB, or 1 GB, takes at most 192 MiB more than the value itself."""
    for name, value in environment(seaweed_server).items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-c", _MEMORY, f"s3://{seaweed_server.new_bucket()}/p", engine]
    done = subprocess.run([*command, str(size)], capture_output=True, check=True)
    assert int(done.stdout) <= 192

"""How many requests each verb makes, as the server itself counts them."""

import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.places.s3_ import ENGINES, environment, open_store

from runstore.places._cloud import _attended

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


MOST_CALLS = {"obstore": 60, "s3fs": 90}


def calls_of_python(call):
    """Return how many functions in Python *call* needs, in a thread that makes requests itself."""
    counted = Counter()

    def count(frame, event, _arg):
        if event == "call":
            counted[frame.f_code.co_qualname] += 1

    def work():
        sys.setprofile(count)
        try:
            call()
        finally:
            sys.setprofile(None)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
    # Templates of other tests whose files end in the same way are tried first, a call each.
    counted["Template.open"] = min(counted["Template.open"], 1)
    return counted


def test_a_small_object_needs_no_other_thread(counted, engine, monkeypatch):
    """The main thread itself sends and receives, once a line is open; s3fs has its own loop."""
    if engine == "s3fs":
        pytest.skip("s3fs works in a thread of its own")
    view = counted.view
    view.put("x", b"x" * 1024)
    monkeypatch.setattr(_attended._idle, "give", lambda outcome: pytest.fail("another thread"))
    for _ in range(3):
        view.put("x", b"x" * 1024)
        assert b"x" * 1024 == view.get("x")
        assert view.get("y", default=None) is None
        assert view.exists("x")


def test_a_small_object_takes_few_calls_of_python(counted, engine):
    """After the pause for an answer each is slow: nothing is left in the processor's cache.

    s3fs works in a thread of its own, which is not counted.
    """
    view = counted.view
    for _ in range(3):
        view.put("x", b"x" * 1024)
        view.get("x")
    put = calls_of_python(lambda: view.put("x", b"x" * 1024))
    get = calls_of_python(lambda: view.get("x"))
    assert put.total() <= MOST_CALLS[engine], put
    assert get.total() <= MOST_CALLS[engine], get


@pytest.mark.extended
def test_eight_mib_are_one_request(counted):
    """An object of nearly 8 MiB is one request up and one down."""
    value = np.zeros((8 << 20) - 10_000, "u1")
    assert Counter({("PUT", "200"): 1}) == counted.during(lambda: counted.view.put("a", value))
    assert Counter({("GET", "206"): 1}) == counted.during(lambda: counted.view.get("a"))


@pytest.mark.extended
def test_many_are_one_request_each(counted):
    """put_many and get_many make one request an item; delete_many one look each, and two for all.

    The two are the removal, and a listing that shows whether any of them is made of parts. obstore
    confirms an empty listing, by two more.
    """
    values, view = {f"n{i}": i for i in range(30)}, counted.view
    assert Counter({("PUT", "200"): 30}) == counted.during(lambda: view.put_many(values))
    assert Counter({("GET", "206"): 30}) == counted.during(lambda: view.get_many(values))
    removal = counted.during(lambda: view.delete_many(values))
    assert 30 == removal["GET", "206"]
    assert removal.total() in (32, 34)
    view.put_many(values)
    left = counted.during(lambda: view.delete_many(values, missing_ok=True)).total()
    assert left in (2, 4)


@pytest.mark.extended
def test_few_of_many_are_one_page(counted):
    """list() of a prefix asks for what begins so, and iter() for as many pages as are read."""
    view = counted.view
    view.put_many({f"x{n:04}": n for n in range(1100)} | {f"y{n}": n for n in range(20)})
    assert Counter({("LIST", "200"): 1}) == counted.during(lambda: view.list("y"))
    assert Counter({("LIST", "200"): 1}) == counted.during(lambda: view.list("x10"))
    assert 100 == len(view.list("x10"))
    assert Counter({("LIST", "200"): 1}) == counted.during(lambda: next(view.iter()))
    assert 2 == counted.during(lambda: list(view.iter())).total()
    assert view.list() == list(view.iter())


@pytest.mark.extended
def test_namespaces_are_one_listing(counted):
    """The names of 500 namespaces come in one page, and those of runs, too."""
    with ThreadPoolExecutor(16) as pool:
        for _ in pool.map(
            lambda n: counted.store.at(namespace=f"n{n:03}", run="r").put("x", n), range(500)
        ):
            pass
    got = {}
    assert counted.during(lambda: got.update(found=counted.store.namespaces())).total() <= 2
    assert 500 == len(got["found"])


@pytest.mark.extended
def test_parts_are_one_request_each(counted):
    """A part is a PUT; sealing what put returned is a listing and a PUT, reading the seal one more.

    obstore confirms a listing that shows nothing, by two requests.
    """
    view, frame = counted.view, pd.DataFrame({"a": [1]})
    infos = []
    up = counted.during(lambda: infos.extend(view.put("x", frame, part=n) for n in range(5)))
    assert Counter({("PUT", "200"): 5}) == up
    expected = Counter({("LIST", "200"): 1, ("PUT", "200"): 1})
    assert expected == counted.during(lambda: view.seal("x", infos))
    assert Counter({("GET", "206"): 6}) == counted.during(lambda: view.get("x"))
    assert Counter({("GET", "206"): 2}) == counted.during(lambda: view.get("x", part=3))
    assert Counter({("GET", "206"): 1}) == counted.during(lambda: view.parts("x"))
    assert Counter({("LIST", "200"): 1}) == counted.during(lambda: view.pending("x", range(9)))
    removed = counted.during(lambda: view.delete("x"))
    assert Counter({("GET", "206"): 1, ("LIST", "200"): 1}) == removed - Counter(
        {key: count for key, count in removed.items() if key[0] == "DELETE"}
    )
    assert removed.total() <= 4


@pytest.mark.extended
def test_a_large_object_is_its_parts(counted):
    """A large put begins, sends its parts and completes; a get is its beginning and the rest."""
    value = np.arange(5 << 20, dtype="i8")  # 40 MiB
    up = counted.during(lambda: counted.view.put("a", value)).total()
    assert 7 <= up <= 8  # 5 parts of 8 MiB and a little, begun and completed
    down = counted.during(lambda: counted.view.get("a"))
    assert 2 <= down["GET", "206"] == down.total() <= 4  # more where one stream is slow


@pytest.mark.extended
@pytest.mark.parametrize("batches", [1, 100, 1000])
def test_one_column_is_two_requests(counted, batches):
    """One column of a table of 40 MiB, whatever its batches: its footer and the column."""
    view, rows = counted.view, (5 << 16) // batches
    part = pa.table({f"c{i}": np.arange(rows, dtype="f8") for i in range(16)})
    view.put("a", pa.concat_tables([part] * batches))
    got = {}
    down = counted.during(lambda: got.update(part=view.get("a", columns=["c7"])))
    assert Counter({("GET", "206"): 2}) == down
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


@pytest.mark.extended
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

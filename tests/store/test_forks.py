"""A process that is forked at any moment of what its parent does goes on by itself."""

import json
import subprocess
import sys

import pytest
from tests.places.s3_ import options

_FORKING = """
import json, os, random, signal, sys, threading, time, warnings
from contextlib import suppress
from runstore import ObjectStore
from runstore.errors import PreconditionFailedError

warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
url, children, given = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
view = ObjectStore(url, **given).at(namespace="n", run="r")
view.put("plain", 0)
view.put("conditional", 0)
ended = threading.Event()

def plain():
    while not ended.is_set():
        view.put("plain", bytes(200_000))

def conditional():
    while not ended.is_set():
        with suppress(PreconditionFailedError):
            view.put("conditional", 1, if_match=view.stat("conditional").version)

def several():
    while not ended.is_set():
        view.put_many({f"several-{i}": i for i in range(10)})

writers = [threading.Thread(target=one, daemon=True) for one in (plain, conditional, several)]
for writer in writers:
    writer.start()
dice, running, waited = random.Random(20261128), [], []
reading, writing = os.pipe()
for i in range(children):
    time.sleep(dice.uniform(0, 0.1))
    pid = os.fork()
    if pid == 0:
        begun = time.monotonic()
        try:
            view.put(f"child-{i}", i, if_absent=bool(i % 2))
            os.write(writing, f"{time.monotonic() - begun}\\n".encode())
        except BaseException as exc:
            os.write(2, f"{exc!r}\\n".encode())
        os._exit(0)
    running.append(pid)
end, hung = time.monotonic() + 200, 0
for pid in running:
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        time.sleep(0.01)
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            hung += 1
            os.waitpid(pid, 0)
            break
found = [info.name for info in view.list("child-")]
ended.set()
for writer in writers:
    writer.join(200)
os.close(writing)
waited = [float(line) for line in open(reading)]
left = [writer.name for writer in writers if writer.is_alive()]
print(json.dumps({"hung": hung, "put": len(waited), "found": found, "left": left,
                  "longest": max(waited)}))
"""


def _forked(url, children, given=None):
    """Fork while threads write; each child puts once. Return what became of them."""
    command = [sys.executable, "-c", _FORKING, url, str(children), json.dumps(given or {})]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "" == ended.stderr
    result = json.loads(ended.stdout)
    print(f"{url}: the longest wait was {result.pop('longest'):.2f} s")
    return result


def _all(children, found=True):
    names = sorted(f"child-{i}" for i in range(children)) if found else []
    return {"hung": 0, "put": children, "found": names, "left": []}


@pytest.mark.parametrize("place", ["memory", "local"])
def test_forty_children_of_writers_near_by_put(tmp_path, place):
    """No lock that a writer held is held in a child; those of memory have a copy of their own."""
    url = "memory://forked" if place == "memory" else str(tmp_path / "store")
    assert _all(40, found=place == "local") == _forked(url, 40)


@pytest.mark.extended
@pytest.mark.parametrize("engine", ["s3fs", None])
@pytest.mark.parametrize("children", [12, pytest.param(40, marks=pytest.mark.slow)])
def test_children_of_writers_on_s3_put(seaweed_server, engine, children):
    """Each child opens its own client; with no engine named, one that survives a fork."""
    url = f"s3://{seaweed_server.new_bucket()}/p"
    given = options(seaweed_server) | ({"engine": engine} if engine else {})
    assert _all(children) == _forked(url, children, given)


@pytest.mark.extended
def test_a_child_that_ends_by_itself_leaves_its_parents_connections_alone(seaweed_server):
    """A child that frees what it inherited, as at exit, does not make the parent deaf."""
    script = """
import gc, json, os, sys, warnings
from runstore import ObjectStore
warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
store = ObjectStore(sys.argv[1], engine="s3fs", timeout=20, **json.loads(sys.argv[2]))
view = store.at(namespace="n", run="r")
view.put("a", 1)
pid = os.fork()
if pid == 0:
    view.put("b", 2)
    store.close()
    del store, view
    gc.collect()
    sys.exit(0)
assert (pid, 0) == os.waitpid(pid, 0)
for i in range(5):
    view.put("a", i)
print(view.get("a"), view.get("b"))
"""
    url = f"s3://{seaweed_server.new_bucket()}/p"
    command = [sys.executable, "-c", script, url, json.dumps(options(seaweed_server))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ("4 2\n", "") == (ended.stdout, ended.stderr)

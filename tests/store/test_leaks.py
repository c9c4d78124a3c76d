"""However many stores, contexts and credentials a process ever uses, it holds as much."""

import json
import subprocess
import sys

import pytest
from tests.places.s3_ import ENGINES

_USED = """
import gc, json, os, sys
from pathlib import Path
from runstore import ObjectStore, object_store, run_context

url, count, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])

def held():
    gc.collect()
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    descriptors = len(os.listdir("/proc/self/fd"))
    return int(lines["Threads"]), descriptors, int(lines["VmRSS"].split()[0]) / 1024

def use(i):
    own = options and options | {"key": f"key-{i}"}
    store = ObjectStore(url.format(i), **own)
    with run_context(store=store, namespace="n", run="r"):
        object_store.put("x", bytes(200_000))
        object_store.exists("x")
        if i % 2:
            ObjectStore().close()
    if i % 4 < 2 or url.startswith("memory"):
        store.close()

for i in range(count // 3):
    use(i)
before = held()
for i in range(count // 3, count):
    use(i)
print(json.dumps([before, held()]))
"""


def _held(url, count, options):
    """Use that many stores in a process of its own; return what it holds after a third, and all."""
    command = [sys.executable, "-c", _USED, url, str(count), json.dumps(options)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def _assert_flat(before, after):
    # Two of each more than ten per cent: a thread may be about to end, a socket to be closed.
    for kind, first, last in zip(("threads", "descriptors", "MiB"), before, after, strict=True):
        assert last <= first * 1.1 + 2, kind


@pytest.mark.extended
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [300, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("place", ["memory", "local"])
def test_stores_near_by_leave_nothing_behind(tmp_path, place, count):
    """Threads, descriptors and memory stay as they are, on disk and in memory."""
    url = "memory://leak-{}" if place == "memory" else f"{tmp_path}/{{}}"
    _assert_flat(*_held(url, count, {}))


@pytest.mark.extended
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [90, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("engine", ENGINES)
def test_stores_and_credentials_on_s3_leave_nothing_behind(moto_server, engine, count):
    """They stay as they are with as many credentials and prefixes, closed or just dropped."""
    options = {"engine": engine, "secret": "s", "endpoint_url": moto_server.endpoint}
    _assert_flat(*_held(f"s3://{moto_server.new_bucket()}/{{}}", count, options))

"""A program that used obstore ends with status 0, whatever obstore's threads still do."""

import os
import subprocess
import sys

import pytest
from tests.places.s3_ import environment

_BEGIN = """
import _thread, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from runstore import ObjectStore
from runstore.places._cloud import _loop
from runstore.errors import StorageError
view = ObjectStore(sys.argv[1], engine="obstore").at(namespace="dev", run="r")
view.exists("a")
small, middle, large = b"1", bytes(1 << 20), bytes(20 << 20)
"""

# As on a busy machine: the thread that brought an answer has not given the interpreter back.
_SLOW = """
deliver = _loop._Loop.call_soon_threadsafe
def slow(self, *args, **kwargs):
    deliver(self, *args, **kwargs)
    if threading.get_ident() not in {thread.ident for thread in threading.enumerate()}:
        for _ in range(400):
            time.sleep(0.001)
_loop._Loop.call_soon_threadsafe = slow
"""

_INTERRUPTED = """
threading.Timer(0.1, _thread.interrupt_main).start()
try:
    while True:
        {}
except KeyboardInterrupt:
    pass
"""

_ENDS = {
    "a put in one request": f"{_SLOW}view.put('a', middle)",
    "an upload in parts": f"{_SLOW}view.put('a', large)",
    "a failed put": f"""{_SLOW}
other = ObjectStore("s3://there-is-none/p", engine="obstore").at(namespace="dev", run="r")
try:
    other.put("a", middle)
except StorageError as error:
    kept = error
else:
    sys.exit("it did not fail")
""",
    "small puts": "for i in range(20): view.put(str(i), small)",
    "an interrupted put in one request": _INTERRUPTED.format("view.put('a', middle)"),
    "an interrupted upload in parts": _INTERRUPTED.format("view.put('a', large)"),
    "interrupted small puts": _INTERRUPTED.format("view.put('a', small)"),
    "interrupted reads": "names = [str(i) for i in range(20)]\n"
    "view.put_many({name: middle for name in names})" + _INTERRUPTED.format("view.get_many(names)"),
    "reads in threads": """
names = [str(i) for i in range(20)]
view.put_many({name: middle for name in names})
with ThreadPoolExecutor(4) as pool:
    assert 4 == len(list(pool.map(view.get_many, [names] * 4)))
""",
}


@pytest.mark.extended
@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", _ENDS)
@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_a_program_that_used_obstore_ends_in_order(seaweed_server, end, times):
    """The interpreter ends with status 0 and without a word, also before obstore's threads do."""
    url = f"s3://{seaweed_server.new_bucket()}/p"
    command = [sys.executable, "-c", _BEGIN + _ENDS[end], url]
    env = {**os.environ, **environment(seaweed_server)}
    for _ in range(times):
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert (0, "") == (done.returncode, done.stderr)

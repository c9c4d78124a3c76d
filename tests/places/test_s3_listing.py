"""How many requests a listing makes, as the server counts them, and how much memory it takes."""

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.places.s3_ import ENGINES, environment, open_backend

_LIST = """
import resource, sys
from runstore.places._s3 import S3Backend
backend = S3Backend(sys.argv[1], engine=sys.argv[2])
count = sum(1 for _ in backend.list("few/"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for _ in backend.list("many/"))
full = sum(1 for _ in backend.list("full/"))
run = sum(1 for _ in backend.list("run/"))
print(count, full, run, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.extended
@pytest.mark.parametrize(
    "thousands", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
def test_a_listing_is_one_request_a_thousand(seaweed_server, thousands, monkeypatch):
    """Listing takes one request a thousand objects, and no memory that grows with their number.

    obstore, which does not say whether a full page was the last, takes one more if it was. Both
    engines list the same objects, as it takes longest to put them. Pages of parts, which are not
    shown, are passed over: 2,500 of them and an object are two requests.
    """
    bucket = seaweed_server.new_bucket()
    writer = open_backend(seaweed_server, "obstore", bucket)
    sizes = {"few": 1500, "many": thousands * 1000 - 1, "full": 2000}
    keys = [f"{folder}/{i:05}.json" for folder, size in sizes.items() for i in range(size)]
    keys += ["run/z.json", *(f"run/.parts/x.arrow/i{i}.a.arrow" for i in range(2500))]
    with ThreadPoolExecutor(16) as pool:
        assert len(keys) == len([*pool.map(lambda key: writer.put(key, [b"1"]), keys)])
    for name, value in environment(seaweed_server).items():
        monkeypatch.setenv(name, value)
    for engine in ENGINES:
        before = seaweed_server.requests(bucket)
        command = [sys.executable, "-c", _LIST, f"s3://{bucket}/p", engine]
        done = subprocess.run(command, capture_output=True, check=True)
        count, full, run, grown = map(int, done.stdout.split())
        assert (engine, sizes["many"], sizes["full"], 1) == (engine, count, full, run)
        requests = 2 + 2 + thousands + (3 if engine == "obstore" else 2)
        counted = seaweed_server.requests(bucket) - before
        assert (engine, Counter({("LIST", "200"): requests})) == (engine, counted)
        assert grown < 16 * 1024, engine  # KiB; all 20,000 entries at once would be more

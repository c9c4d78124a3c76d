"""Tables in pieces on S3: what is moved, as the server itself counts it, and what a kill leaves."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest
from tests.places.s3_ import ENGINES, environment, open_store

pytestmark = pytest.mark.parametrize("engine", ENGINES)

ROWS, PIECES = 1 << 17, 16
NAMES = ["x", "x.parquet"]


@pytest.fixture
def bucket(seaweed_server):
    return seaweed_server.new_bucket()


@pytest.fixture
def view(seaweed_server, engine, bucket):
    return open_store(seaweed_server, engine, bucket).at(namespace="dev", run="r1")


def piece(number, columns):
    numbers = np.random.default_rng(number).random((columns - 1, ROWS))
    keys = np.arange(number * ROWS, (number + 1) * ROWS)
    return pa.table({"k": keys, **{f"c{i}": column for i, column in enumerate(numbers)}})


def sent(server, bucket, call):
    """Return how many bytes and answers the server sends during a call."""
    before = server.sent(bucket), server.requests(bucket)
    call()
    time.sleep(0.3)
    return server.sent(bucket) - before[0], (server.requests(bucket) - before[1]).total()


@pytest.mark.extended
@pytest.mark.parametrize("name", NAMES)
def test_a_filter_on_a_sorted_column_fetches_few_pieces_of_sixteen(
    seaweed_server, view, bucket, name
):
    """It moves no more than three of them, from a table that is written in parts."""
    with view.writer(name) as w:
        w.write_all(piece(number, 9) for number in range(PIECES))
    size = w.info.size
    got = {}

    def read():
        got["rows"] = view.get(name, filters=[("k", ">=", 9 * ROWS - 5), ("k", "<", 9 * ROWS + 5)])

    moved, requests = sent(seaweed_server, bucket, read)
    assert 10 == got["rows"].num_rows
    assert moved < 3 * size / PIECES
    assert requests <= 12


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_column_of_sixteen_moves_no_more_than_an_eighth(seaweed_server, view, bucket, name):
    """Of a table of 256 MB: by get, iter_batches and scan."""
    with view.writer(name) as w:
        w.write_all(piece(number, 16) for number in range(PIECES))
    calls = (
        lambda: view.get(name, columns=["c3"]),
        lambda: list(view.iter_batches(name, columns=["c3"])),
        lambda: view.scan(name).to_table(columns=["c3"]),
    )
    for call in calls:
        moved, _ = sent(seaweed_server, bucket, call)
        assert moved <= w.info.size / 8


_ENDLESS = """
import sys
import numpy as np, pyarrow as pa
from runstore import ObjectStore
store = ObjectStore(sys.argv[1], engine=sys.argv[2])
with store.at(namespace="dev", run="r1").writer("x") as w:
    for i in range(1_000_000):
        w.write(pa.table({"a": np.full(1_200_000, float(i))}))
        if i == 3:
            print("ready", flush=True)
"""


@pytest.mark.extended
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_writer_leaves_the_old_value(seaweed_server, view, bucket, engine, sign):
    """What kill -9 leaves behind is an upload that nobody sees, and sweep removes it."""
    view.put("x", "old")
    with subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, f"s3://{bucket}/p", engine],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": os.environ["PATH"], **environment(seaweed_server)},
    ) as writer:
        assert "ready\n" == writer.stdout.readline()
        writer.send_signal(sign)
        writer.communicate(timeout=120)
    assert "old" == view.get("x")
    uploads = seaweed_server.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert (sign == signal.SIGKILL) == bool(uploads)  # which has no time to end them
    assert len(uploads) == view.store.sweep(older_than=0)
    assert [] == seaweed_server.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])

"""Many processes finish runs of one workflow at once: the latest is the one that started last."""

import json
import subprocess
import sys
import threading
import time

import pytest
from tests.places.s3_ import options

from runstore import ObjectStore
from runstore.runs import latest_named

PROCESSES = 8

WORKER = """
import sys
from datetime import UTC, datetime, timedelta
from runstore import ObjectStore
from runstore.context import new_run
from runstore.runs import move_latest

url, number, rounds, options = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
store = ObjectStore(url, **__import__("json").loads(options))
start = datetime(2026, 1, 1, tzinfo=UTC)
for turn in range(rounds):
    at = start + timedelta(minutes=turn, seconds=(number * 7 + turn * 3) % 8)
    run = new_run("w", namespace="n", name=f"{at:%H%M%S}-{number}")
    run = run.model_copy(update={"started_at": at, "state": "finished"})
    store.write_run(run)
    print("ready", flush=True)
    sys.stdin.readline()
    move_latest(store.backend, run)
    print("done", run.name, flush=True)
    sys.stdin.readline()
"""


def race(url, rounds, how):
    """Let processes finish runs at once, and return what readers have seen and the last of each."""
    command = [sys.executable, "-c", WORKER, url]
    workers = [
        subprocess.Popen(
            [*command, str(number), str(rounds), json.dumps(how)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    store, over, seen = ObjectStore(url, **how), threading.Event(), []

    def look():
        while not over.is_set():
            seen.append(latest_named(store.backend, "n", "w"))
            time.sleep(0.001)

    reader = threading.Thread(target=look)
    reader.start()
    ends = []
    try:
        for _ in range(rounds):
            assert ["ready\n"] * PROCESSES == [one.stdout.readline() for one in workers]
            _go_on(workers)
            names = [one.stdout.readline().split()[1] for one in workers]
            ends.append((max(names), latest_named(store.backend, "n", "w")))
            _go_on(workers)
    finally:
        over.set()
        reader.join()
        for one in workers:
            one.kill()
            one.communicate()
    return [name for name in seen if name is not None], ends


def _go_on(workers):
    for one in workers:
        one.stdin.write("\n")
        one.stdin.flush()


def check(url, rounds, how=None):
    """The last of each round is the one that started last, and nobody sees it move back."""
    seen, ends = race(url, rounds, how or {})
    assert [(last, last) for last, _ in ends] == ends
    assert sorted(seen) == seen
    assert seen


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_runs_that_finish_at_once_on_disk(tmp_path, rounds):
    """Eight processes, on a local disk."""
    check(str(tmp_path), rounds)


@pytest.mark.slow
def test_runs_that_finish_at_once_on_a_server(seaweed_server):
    """Eight processes, on SeaweedFS."""
    client = seaweed_server.client()
    client.create_bucket(Bucket="latest-race")
    check("s3://latest-race/store", 50, options(seaweed_server))

"""Parts that many processes write at once, with kills; and seals that are stopped at any moment."""

import errno
import json
import os
import random
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from tests.places.s3_ import environment
from tests.store.side_by_side import part_of, whole

from runstore import ObjectStore
from runstore.errors import StorageFullError
from runstore.testing import assert_same


def run(*arguments, env=None):
    """Run the program; give what it has printed."""
    command = [sys.executable, "-m", "tests.store.side_by_side", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, check=False, env=os.environ | (env or {}), cwd=_ROOT
    )
    assert 0 == done.returncode, done.stderr.decode()[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


_ROOT = Path(__file__).parents[2]


@pytest.mark.extended
@pytest.mark.parametrize(
    ("workers", "parts"), [(3, 12), pytest.param(8, 64, marks=pytest.mark.slow)]
)
def test_killed_writers_leave_the_old_whole_until_the_seal(tmp_path, workers, parts):
    """Readers see nothing, or the old whole, then all parts once; and the old one reads on."""
    found = run("generations", tmp_path / "store", workers, parts)
    assert found["kills"]
    assert found["swept"] >= parts


@pytest.mark.slow
def test_killed_writers_on_s3(seaweed_server):
    """The same with 8 processes and 64 parts in a bucket."""
    url = f"s3://{seaweed_server.new_bucket()}/p"
    found = run("generations", url, 8, 64, env=environment(seaweed_server))
    assert found["kills"]


@pytest.mark.extended
def test_stopped_writers_in_a_filesystem_of_fsspec():
    """The same with threads that are stopped before or after a write, in fsspec's own memory."""
    store = ObjectStore(fs=MemoryFileSystem(), root="/side-by-side")
    view, dice = store.at(namespace="dev", run="r1"), random.Random(1)
    real, stop, dead = store.backend.put, threading.local(), []

    def put(key, buffers, **how):
        left = getattr(stop, "left", None)
        if left == 0 and dice.random() < 0.5:
            raise InterruptedError("before")
        entry = real(key, buffers, **how)
        if left == 0:
            raise InterruptedError("after")
        if left is not None:
            stop.left = left - 1
        return entry

    store.backend.put = put

    def work(number, generation, doomed):
        stop.left = dice.randrange(8) if doomed else None
        try:
            for key in range(number, 64, 8):
                view.put("x", part_of(key, generation), part=key)
                time.sleep(dice.random() / 200)
        except InterruptedError:
            dead.append(number)
            work(number, generation, False)

    held = None
    for generation in (0, 1):
        threads = [threading.Thread(target=work, args=(n, generation, True)) for n in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            found = view.get("x", default=None)
            assert (found is None) if generation == 0 else whole(found, 64) == 0
        view.seal("x")
        assert generation == whole(view.get("x"), 64)
        held = held or view.parts("x")
    assert 16 == len(dead)
    assert_same(part_of(5, 0), view.get("x", part=held[5]))
    assert store.sweep(older_than=0) >= 64
    assert 1 == whole(view.get("x"), 64)


@pytest.mark.extended
@pytest.mark.parametrize(
    ("workers", "items", "kills"), [(2, 60, 5), pytest.param(4, 1000, 30, marks=pytest.mark.slow)]
)
def test_a_killed_loop_goes_on_where_it_stopped(tmp_path, workers, items, kills):
    """Each result is there once, and a kill repeats one item at most."""
    log = tmp_path / "log"
    found = run("loop", tmp_path / "store", workers, items, kills, log)
    assert (kills, items) == (found["kills"], found["different"])
    assert found["begun"] <= items + kills
    assert {"rows": items} == run("sealed", tmp_path / "store", items)


@pytest.mark.slow
def test_a_killed_loop_costs_one_request_an_item(seaweed_server, tmp_path):
    """And a listing for each start of a worker."""
    bucket, env = seaweed_server.new_bucket(), environment(seaweed_server)
    items, kills, workers = 400, 10, 4
    found = run("loop", f"s3://{bucket}/p", workers, items, kills, tmp_path / "log", env=env)
    made = seaweed_server.requests(bucket)
    assert found["begun"] <= items + kills
    assert made["PUT", "200"] <= found["begun"]
    assert made.total() - made["PUT", "200"] <= 3 * (workers + kills + 1) + 4


@pytest.mark.extended
def test_a_seal_that_is_killed_leaves_the_old_or_the_new_whole(tmp_path):
    """At every step of it; and sweep finds what is left."""
    found = run("kills", tmp_path)
    assert found["kills"] >= 8
    assert 1 <= found["kills"] - found["old"] <= 2  # only behind the rename is it the new one


@pytest.mark.parametrize("error", [KeyboardInterrupt, StorageFullError])
def test_a_seal_that_is_interrupted_leaves_the_old_whole(view, error):
    """By Ctrl-C or a full place, at any of its calls; sealed again, it is the new one."""
    for generation in (0, 1):
        for key in range(3):
            view.put("x", part_of(key, generation), part=key)
        if generation == 0:
            view.seal("x")
    backend = view.store.backend
    reals = {name: getattr(backend, name) for name in ("list", "tail", "get", "put")}
    for at in range(100):
        left = iter(range(at))

        def call(real, *args, left=left, **how):
            if next(left, None) is None:
                raise error("now")
            return real(*args, **how)

        for name, real in reals.items():
            setattr(backend, name, partial(call, real))
        try:
            view.seal("x")
        except error:
            stopped = True
        else:
            stopped = False
        for name, real in reals.items():
            setattr(backend, name, real)
        assert (0 if stopped else 1) == whole(view.get("x"), 3)
        if not stopped:
            break
    assert at >= 4
    view.store.sweep(older_than=0)
    assert 1 == whole(view.get("x"), 3)


def test_a_seal_on_a_full_disk_leaves_the_old_whole(tmp_path, monkeypatch):
    """The error says so, and nothing is left of it."""
    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")
    view.put("x", pd.DataFrame({"a": [1]}), part=0)
    view.seal("x")
    view.put("x", pd.DataFrame({"a": [2]}), part=0)

    def full(fd, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StorageFullError):
            view.seal("x")
    assert [1] == view.get("x")["a"].tolist()
    assert [] == os.listdir(tmp_path / "store" / ".runstore-tmp")
    view.seal("x")
    assert [2] == view.get("x")["a"].tolist()

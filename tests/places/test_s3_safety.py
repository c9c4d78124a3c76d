"""Races, kills and interrupts: one winner, whole values, nothing that lands later."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import replace

import numpy as np
import pytest
from tests.places.s3_ import ENGINES, environment, open_backend, open_store
from tests.servers import faults
from tests.servers.process import poll
from tests.servers.proxy import FaultProxy

from runstore.buffers import flat
from runstore.errors import StorageError

pytestmark = pytest.mark.parametrize("engine", ENGINES)

SIZE = 32 << 20  # four parts

_WRITE = """
import sys
import numpy as np
from runstore import ObjectStore
view = ObjectStore(sys.argv[1], engine=sys.argv[2]).at(namespace="dev", run="r")
arrays = [np.full(int(sys.argv[3]) // 8, float(i)) for i in range(2)]
view.exists("x")
print("ready", flush=True)
i = 0
while True:
    i += 1
    view.put("x", arrays[i % 2])
"""

_RACE = """
import sys
from runstore import ObjectExistsError, ObjectStore
view = ObjectStore(sys.argv[1], engine=sys.argv[2]).at(namespace="dev", run="r")
view.exists("x")
print("ready", flush=True)
for line in sys.stdin:
    try:
        view.put(f"race-{line.strip()}", sys.argv[3], if_absent=True)
        print("won", flush=True)
    except ObjectExistsError:
        print("lost", flush=True)
"""


@pytest.fixture
def started(monkeypatch):
    """Start scripts that reach a server by their environment; killed at the end."""
    running = []

    def start(script, server, *arguments):
        for name, value in environment(server).items():
            monkeypatch.setenv(name, value)
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.extended
@pytest.mark.timeout(400)  # processes that start on a busy machine
@pytest.mark.parametrize(
    ("server", "rounds"),
    [
        ("seaweed_server", 5),
        pytest.param("seaweed_server", 25, marks=pytest.mark.slow),
        pytest.param("moto_server", 25, marks=pytest.mark.slow),
    ],
)
def test_one_of_eight_processes_creates(request, engine, started, server, rounds):
    """Of eight processes that put with if_absent at once exactly one succeeds, each time."""
    s3_server = request.getfixturevalue(server)
    url = f"s3://{s3_server.new_bucket()}/p"
    racers = [started(_RACE, s3_server, url, engine, i) for i in range(8)]
    assert ["ready\n"] * 8 == [racer.stdout.readline() for racer in racers]
    for round_ in range(rounds):
        for racer in racers:
            racer.stdin.write(f"{round_}\n")
            racer.stdin.flush()
        outcomes = [racer.stdout.readline().strip() for racer in racers]
        assert ["lost"] * 7 + ["won"] == sorted(outcomes)


@pytest.mark.extended
def test_a_server_that_ignores_conditions_is_found_out(rclone_server, engine):
    """There if_absent and if_match raise before anything is written; plain puts work."""
    backend = open_backend(rclone_server, engine)
    old = backend.put("a.json", [b"old"])
    for condition in ({"if_absent": True}, {"if_match": old.version}):
        with pytest.raises(StorageError, match="ignores conditional writes"):
            backend.put("a.json", [b"new"], **condition)
    assert b"old" == bytes(flat(backend.get("a.json")[0]))
    assert ["a.json"] == [entry.key for entry in backend.list("")]


@pytest.mark.extended
@pytest.mark.timeout(400)  # processes that start on a busy machine
@pytest.mark.parametrize(
    "kills", [5, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_a_killed_put_leaves_a_whole_value(seaweed_server, engine, started, kills):
    """After each kill -9 a reader sees one whole value, and what was left behind is swept.

    Every other kill comes while an upload is under way; the rest come at any time.
    """
    store = open_store(seaweed_server, engine)
    view, dice = store.at(namespace="dev", run="r"), random.Random(20261123)
    view.put("x", np.full(SIZE // 8, 7.0))
    swept = 0
    for number in range(kills):
        writer = started(_WRITE, seaweed_server, store.url, engine, SIZE)
        assert "ready\n" == writer.stdout.readline()
        if number % 2 == 0:
            poll(store.backend.unfinished, seconds=60, every=0.005)
        else:
            with suppress(subprocess.TimeoutExpired):
                writer.wait(dice.uniform(0.0, 0.6))
        writer.kill()
        writer.wait()
        value = view.get("x")
        assert (SIZE // 8, 1) == (len(value), len(np.unique(value)))
        assert ["x"] == [info.name for info in view.list()]
        swept += store.sweep(older_than=0)
        assert [] == store.backend.unfinished()
    assert swept > 0


@pytest.mark.extended
@pytest.mark.timeout(400)  # processes that start on a busy machine
@pytest.mark.parametrize(
    "gets", [15, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_a_reader_of_what_is_overwritten_gets_whole_values(seaweed_server, engine, started, gets):
    """While another process overwrites a 32 MiB object, each get returns one complete value."""
    store = open_store(seaweed_server, engine, timeout=60)
    view = store.at(namespace="dev", run="r")
    view.put("x", np.full(SIZE // 8, 7.0))
    writer = started(_WRITE, seaweed_server, store.url, engine, SIZE)
    assert "ready\n" == writer.stdout.readline()
    for _ in range(gets):
        value = view.get("x")
        assert (SIZE // 8, 1) == (len(value), len(np.unique(value)))
    assert writer.poll() is None


@pytest.mark.extended
def test_an_interrupted_put_does_not_land_later(seaweed_server, engine):
    """After Ctrl-C in a put, what is there then is what is there later, or the interrupt says."""
    answered = []  # the server did in time, and nothing may follow
    with ExitStack() as stack:
        for size in (1000, 40 << 20):
            direct = open_backend(seaweed_server, engine)
            bucket = direct.url.split("/")[2]
            direct.put("a.json", [b"old"])
            proxy = stack.enter_context(FaultProxy(seaweed_server.endpoint))
            backend = open_backend(replace(seaweed_server, endpoint=proxy.endpoint), engine, bucket)
            backend.head("a.json")
            interrupts = iter([lambda: os.kill(os.getpid(), signal.SIGINT)])

            def interrupt(number, method, path, interrupts=interrupts):
                if method != "PUT":
                    return None
                next(interrupts, lambda: None)()  # the first put is at the server, not answered
                return faults.delay(400)

            proxy.plan = interrupt
            with pytest.raises(KeyboardInterrupt) as caught:
                backend.put("a.json", [b"n" * size])
            if not getattr(caught.value, "__notes__", None):
                answered.append((direct, size, direct.head("a.json").version))
        time.sleep(1.5)
    for direct, size, then in answered:
        assert (size, then) == (size, direct.head("a.json").version)
        assert [] == direct.unfinished()


def test_a_fork_goes_on(seaweed_server, engine):
    """A forked process opens its own client, or says how to start one that can."""
    backend = open_backend(seaweed_server, None if engine == "obstore" else engine)
    backend.put("a.json", [b"x"])
    pid = os.fork()
    if pid == 0:
        status = 1
        with suppress(BaseException):
            status = 0 if bytes(flat(backend.get("a.json")[0])) == b"x" else 2
        os._exit(status)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    if ended == (0, 0):
        os.kill(pid, signal.SIGKILL)
    assert (pid, 0) == ended

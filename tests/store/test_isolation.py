"""Runs never see each other's objects: threads, processes, tasks."""

import asyncio
import subprocess
import sys
import threading
from itertools import chain

import pytest

from runstore import ObjectStore, object_store, run_context


@pytest.mark.extended
def test_a_thousand_interleaved_tasks_do_not_cross(store):
    """1,000 asyncio tasks in two contexts: each reads what its own run wrote."""

    async def one(run, i):
        with run_context(namespace="dev", run=run, store=store):
            object_store.put(f"n{i % 10}", f"{run}-{i % 10}")
            await asyncio.sleep(0)
            if i % 3 == 0:
                await asyncio.sleep(0.001)
            return object_store.get(f"n{i % 10}") == f"{run}-{i % 10}"

    async def main():
        return await asyncio.gather(*(one(f"r{i % 2}", i // 2) for i in range(1000)))

    assert {True} == set(asyncio.run(main()))
    for run in ("r0", "r1"):
        view = store.at(namespace="dev", run=run)
        assert [f"n{i}" for i in range(10)] == [info.name for info in view.list()]
        assert {f"n{i}": f"{run}-{i}" for i in range(10)} == view.get_many(
            f"n{i}" for i in range(10)
        )


def test_threads_in_runs_of_their_own_do_not_cross(store):
    """Threads that put the same names in runs of their own each read their own."""
    wrong = []

    def work(run):
        with run_context(namespace="dev", run=run, store=store):
            for i in range(50):
                object_store.put("x", (run, i))
                if object_store.get("x") != (run, i):
                    wrong.append((run, i))

    threads = [threading.Thread(target=work, args=(f"r{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong


_WORK = """
import sys
from runstore import object_store, run_context
with run_context(namespace="dev", run=sys.argv[1], store=sys.argv[2]):
    for i in range(100):
        object_store.put("x", [sys.argv[1], i])
        assert object_store.get("x") == [sys.argv[1], i]
        assert [info.name for info in object_store.list()] == ["x"]
"""


def test_processes_in_runs_of_their_own_do_not_cross(tmp_path):
    """Two processes that put the same names at once each read and list their own."""
    processes = [
        subprocess.Popen([sys.executable, "-c", _WORK, run, str(tmp_path / "store")])
        for run in ("r1", "r2")
    ]
    assert [0, 0] == [process.wait() for process in processes]
    store = ObjectStore(tmp_path / "store")
    assert [["r1", 99], ["r2", 99]] == [
        store.at(namespace="dev", run=run).get("x") for run in ("r1", "r2")
    ]


_RACE = """
import sys, time
from runstore import ObjectStore, errors
view = ObjectStore(sys.argv[1]).at(namespace="dev", run="race")
while time.time() < float(sys.argv[3]):
    pass
for i in range(25):
    try:
        view.put(f"n{i}", sys.argv[2], if_absent=True)
    except errors.ObjectExistsError:
        continue
    print(i)
"""


@pytest.mark.extended
def test_processes_that_race_to_create_have_one_winner(tmp_path):
    """Eight processes put 25 names with if_absent: each name has exactly one winner."""
    import time

    start = str(time.time() + 2.5)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _RACE, str(tmp_path), f"p{i}", start],
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(8)
    ]
    won = [process.communicate()[0].split() for process in processes]
    assert [0] * 8 == [process.returncode for process in processes]
    assert sorted(map(str, range(25))) == sorted(chain.from_iterable(won))
    view = ObjectStore(tmp_path).at(namespace="dev", run="race")
    for i, names in enumerate(won):
        assert {f"p{i}"} >= {view.get(f"n{name}") for name in names}

"""When an awaited call has raised CancelledError, nothing of it appears later."""

import asyncio
import gc
import random
import threading
import uuid
import weakref

import pytest
from tests.aio.test_verbs import LONG, Slow, given, until  # noqa: F401 - a fixture

from runstore import ObjectNotFoundError, ObjectStore
from runstore.aio import ObjectStore as AsyncStore
from runstore.errors import IndeterminateWriteError
from runstore.places._local_write import LocalWrite
from runstore.places._memory import MemoryBackend


async def idle(store):
    """Wait until no thread of the store is at work."""
    await until(lambda: store._pool._waiting == store._pool.threads)


def test_while_the_bytes_are_made(given):  # noqa: F811
    """A put that is cancelled before it is published leaves the old object, at every place."""

    async def work():
        async with AsyncStore(**given) as store:
            view = store.at(namespace="dev", run="r1")
            await view.put("x", "old")
            for verb in (view.put, lambda name, value: view.put_many({name: value, "y": 1})):
                value = Slow()
                put = asyncio.create_task(verb("x", value))
                await until(value.begun.is_set)
                put.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await put
                there = [(info.name, info.version) for info in await view.list()]
                value.go_on.set()
                await idle(store)
                assert there == [(info.name, info.version) for info in await view.list()]
                assert "old" == await view.get("x")

    asyncio.run(work())


class Held:
    """Lets one call of a method wait, at its beginning, until it is told to go on."""

    def __init__(self, monkeypatch, owner, name, error=None):
        self.reached, self.go_on = threading.Event(), threading.Event()
        original = getattr(owner, name)

        def method(*args, **kwargs):
            self.reached.set()
            assert self.go_on.wait(LONG)
            if error is not None:
                raise error
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, method)


def test_while_it_is_being_published(tmp_path, monkeypatch):
    """A put past its last look is waited for, however often it is cancelled: it is there then."""

    async def work():
        async with AsyncStore(tmp_path) as store:
            view = store.at(namespace="dev", run="r1")
            held = Held(monkeypatch, LocalWrite, "publish")
            put = asyncio.create_task(view.put("x", 1))
            await until(held.reached.is_set)
            for _ in range(3):
                put.cancel()
                await asyncio.sleep(0.01)
                assert not put.done()
            held.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await put
            assert [1] == [ObjectStore(tmp_path).at(namespace="dev", run="r1").get("x")]

    asyncio.run(work())


def test_an_unknown_outcome_is_told(tmp_path, monkeypatch):
    """If nobody can say whether a cancelled write landed, CancelledError has a note of it."""

    async def work():
        async with AsyncStore(tmp_path) as store:
            error = IndeterminateWriteError("nobody can say whether x was written")
            held = Held(monkeypatch, LocalWrite, "publish", error)
            put = asyncio.create_task(store.at(namespace="dev", run="r1").put("x", 1))
            await until(held.reached.is_set)
            put.cancel()
            await asyncio.sleep(0)
            held.go_on.set()
            with pytest.raises(asyncio.CancelledError) as cancelled:
                await put
            assert ["nobody can say whether x was written"] == cancelled.value.__notes__

    asyncio.run(work())


def test_deletions_and_copies_are_writes(monkeypatch):
    """A delete that waits is cancelled and does not happen; one under way is waited for."""

    async def work():
        async with AsyncStore(f"memory://{uuid.uuid4()}") as store:
            view = store.at(namespace="dev", run="r1")
            await view.put_many({"x": 1, "y": 2})
            held = Held(monkeypatch, MemoryBackend, "delete")
            delete = asyncio.create_task(view.delete("x"))
            await until(held.reached.is_set)
            delete.cancel()
            await asyncio.sleep(0.01)
            assert not delete.done()
            held.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await delete
            assert ["y"] == [info.name for info in await view.list()]

    asyncio.run(work())


def test_a_call_that_waits_for_a_thread_is_never_made():
    """Calls behind those that take all threads end at once when they are cancelled."""

    async def work():
        async with AsyncStore(f"memory://{uuid.uuid4()}") as store:
            view, values = store.at(namespace="dev", run="r1"), [Slow() for _ in range(8)]
            puts = [asyncio.create_task(view.put(f"{i}", v)) for i, v in enumerate(values)]
            await until(lambda: all(value.begun.is_set() for value in values))
            late = [asyncio.create_task(view.put(f"late-{i}", 1)) for i in range(50)]
            await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await view.get("0")
            for task in late:
                task.cancel()
            outcomes = await asyncio.gather(*late, return_exceptions=True)
            assert {asyncio.CancelledError} == set(map(type, outcomes))
            for value in values:
                value.go_on.set()
            await asyncio.gather(*puts)
            assert 8 == len(await view.list())
            await asyncio.gather(*(view.get("0") for _ in range(50)))  # all may go in again

    asyncio.run(work())


@pytest.mark.parametrize("place", ["memory", "local"])
def test_a_storm_of_cancellations_leaves_what_it_says(tmp_path, place):
    """Puts cancelled at any moment: once the last one has raised, nothing changes any more."""
    dice = random.Random(20261128)
    url = f"memory://{uuid.uuid4()}" if place == "memory" else tmp_path

    async def one(view, number):
        put = asyncio.create_task(view.put(f"x{number % 7}", bytes([number % 256]) * 1000))
        for _ in range(dice.randrange(12)):
            await asyncio.sleep(0)
        put.cancel()
        try:
            await put
        except asyncio.CancelledError:
            return "cancelled"
        return "stored"

    async def work():
        async with AsyncStore(url) as store:
            view = store.at(namespace="dev", run="r1")
            outcomes = []
            for _ in range(10):
                outcomes += await asyncio.gather(*(one(view, i) for i in range(40)))
                there = [(info.name, info.version) for info in await view.list()]
                await idle(store)
                assert there == [(info.name, info.version) for info in await view.list()]
            assert "cancelled" in outcomes
            await asyncio.gather(*(view.put(f"y{i}", i) for i in range(100)))  # and it goes on

    asyncio.run(work())


def test_errors_and_cancelled_calls_hold_nothing():
    """What a failed or a cancelled call was given is freed, without the garbage collector."""

    class Value:
        def __reduce__(self):
            raise RuntimeError

    async def work():
        async with AsyncStore(f"memory://{uuid.uuid4()}") as store:
            view = store.at(namespace="dev", run="r1")
            alive = []
            for _ in range(20):
                value = Value()
                alive.append(weakref.ref(value))
                with pytest.raises(Exception, match="cannot be pickled"):
                    await view.put("x", value)
                with pytest.raises(ObjectNotFoundError):
                    await view.get("x")
                del value
            await idle(store)
            return sum(ref() is not None for ref in alive)

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(work()) <= 1
    finally:
        gc.enable()

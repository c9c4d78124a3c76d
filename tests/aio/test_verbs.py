"""The verbs to await do what the others do, in the run of the task, and never block its loop."""

import asyncio
import inspect
import os
import pickle
import threading
import time
import uuid

import pandas as pd
import pyarrow as pa
import pytest
from tests.places.s3_ import ENGINES, STORES, options

import runstore
from runstore import NoRunContextError, ObjectNotFoundError, aio, run_context, use_run_context
from runstore.aio import ObjectStore, object_store
from runstore.context import Lease, get_run_context, new_run
from runstore.errors import BulkError, StaleRunError, StoreClosedError
from runstore.store import Verbs

LONG = 100.0  # seconds until something that has to happen counts as never


@pytest.fixture(params=STORES)
def given(request, tmp_path):
    """Give what opens an empty store at each place."""
    if request.param in ENGINES:
        server = request.getfixturevalue("moto_server")
        url = f"s3://{server.new_bucket()}/p"
        return {"url": url, "engine": request.param, **options(server)}
    return {"url": f"memory://{uuid.uuid4()}" if request.param == "memory" else tmp_path / "store"}


def test_the_verbs_are_the_same():
    """Every verb is there, with the same parameters, on the store, a view and the module."""
    kinds = [kind for kind in Verbs.__mro__ if kind.__module__.startswith("runstore.")]
    names = {name for kind in kinds for name in vars(kind) if not name.startswith("_")}
    assert set(runstore.object_store.__all__) == names | {"at", "runs"}
    assert set(runstore.object_store.__all__) == set(object_store.__all__)
    iterators = {"iter", "iter_batches", "writer"}  # for ``async for`` and ``async with``
    for name in names:
        theirs = inspect.signature(getattr(runstore.ObjectStore, name)).parameters
        for home in (ObjectStore, aio.StoreView):
            ours = inspect.signature(getattr(home, name)).parameters
            assert [(p.name, p.default, p.kind) for p in theirs.values()] == [
                (p.name, p.default, p.kind) for p in ours.values()
            ], name
            assert inspect.iscoroutinefunction(getattr(home, name)) or name in iterators
        assert inspect.iscoroutinefunction(getattr(object_store, name)) or name in iterators
    theirs = inspect.signature(runstore.ObjectStore).parameters
    assert list(theirs) == list(inspect.signature(ObjectStore).parameters)


def test_iter_gives_what_list_gives(given):
    """`async for` over iter() sees the objects of list(), also those of several pages."""

    async def work():
        async with ObjectStore(**given) as store:
            view = store.at(namespace="dev", run="r1")
            await view.put_many({f"n-{n}": n for n in range(12)})
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("runstore.aio._paging._PAGE", 5)
                found = [info async for info in view.iter("n-1")]
            assert await view.list("n-1") == found
            assert ["n-1", "n-10", "n-11"] == [info.name for info in found]

    asyncio.run(work())


def test_each_verb_at_each_place(given):
    """Put, get, list, copy, delete and their siblings work together, near and far away."""
    frame = pd.DataFrame({"a": range(10), "b": "x"})

    async def work():
        async with ObjectStore(**given) as store:
            view = store.at(namespace="dev", run="r1")
            info = await view.put("frame", frame)
            assert ("frame", "r1") == (info.name, view.run)
            pd.testing.assert_frame_equal(frame, await view.get("frame"))
            assert ["a"] == list((await view.get("frame", columns=["a"])).columns)
            value, info = await view.get_with_info("frame", as_type=pa.Table)
            assert list(range(10)) == value["a"].to_pylist()
            assert info.version == (await view.stat("frame")).version
            assert await view.exists("frame")
            assert not await view.exists("none")
            assert 7 == await view.get("none", default=7)
            with pytest.raises(ObjectNotFoundError, match="none"):
                await view.get("none")
            await view.put_many({"x": 1, "y": 2})
            assert {"x": 1, "y": 2} == await view.get_many(["x", "y"])
            with pytest.raises(BulkError, match="none"):
                await view.get_many(["x", "none"])
            await view.copy("x", to_name="z", to_scope="namespace")
            assert 1 == await view.get("z", scope="namespace")
            assert ["frame", "x", "y"] == [info.name for info in await view.list()]
            await view.delete("x")
            await view.delete_many(["y", "gone"], missing_ok=True)
            assert ["frame"] == [info.name for info in await view.list()]
            assert (["dev"], ["r1"]) == (
                await store.namespaces(), await store.runs_with_objects("dev"),
            )  # fmt: skip
            with run_context(namespace="dev", run="r2", store=store.address) as ctx:
                await store.put("w", 1)  # in the current run
                await store.write_run(ctx.run)
            assert "r2" == (await store.read_run("r2", namespace="dev")).name
            assert ["r2"] == [run.name for run in await store.runs("dev")]
            assert isinstance(await store.sweep(), int)
            await store.delete_run("r2", namespace="dev", force=True)
            assert [] == await store.runs()

    asyncio.run(work())


def test_the_run_is_that_of_the_task(tmp_path):
    """Tasks that have entered different runs do not meet; a task keeps the run it began in."""

    async def stage(name):
        with run_context(namespace="dev", run=name, store=tmp_path):
            for _ in range(5):
                await object_store.put("mine", name)
                await asyncio.sleep(0)
            child = asyncio.create_task(object_store.get("mine"))
        return await child

    async def work():
        names = [f"r{i}" for i in range(20)]
        assert names == await asyncio.gather(*map(stage, names))
        with pytest.raises(NoRunContextError, match="no workflow run here") as outside:
            await object_store.put("x", 1)
        assert "This is the thread" not in str(outside.value)

    asyncio.run(work())


class Slow:
    """A value whose pickling waits until it is told to go on."""

    def __init__(self):
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __reduce__(self):
        self.begun.set()
        assert self.go_on.wait(LONG)
        return Slow, ()


async def until(condition):
    """Wait for what has to become true; the loop turns meanwhile."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


def test_the_loop_turns_while_a_value_is_made():
    """What a call does, even the value's own code, is done beside the loop."""

    async def work():
        async with ObjectStore(f"memory://{uuid.uuid4()}") as store:
            view, value = store.at(namespace="dev", run="r1"), Slow()
            put = asyncio.create_task(view.put("x", value))
            await until(value.begun.is_set)  # for ever, if the loop stood still
            await view.put("y", 2)
            assert not put.done()
            value.go_on.set()
            await put
            assert isinstance(await view.get("x"), Slow)

    asyncio.run(work())


@pytest.mark.parametrize("far", [False, True], ids=["memory", "moto"])
def test_many_calls_at_once_share_few_threads(request, far):
    """The loop keeps turning under hundreds of gets; the threads are bounded, and gone at the end.

    How long it stands still is measured by ``python -m benchmarks aio``.
    """
    given = {"url": f"memory://{uuid.uuid4()}"}
    if far:
        server = request.getfixturevalue("moto_server")
        given = {"url": f"s3://{server.new_bucket()}/p", **options(server)}
    count, value = 200 if far else 1000, os.urandom(1024)
    before = threading.active_count()

    async def work():
        async with ObjectStore(**given) as store:
            view = store.at(namespace="dev", run="r1")
            await view.put("x", value)
            calls = asyncio.gather(*(view.get("x") for _ in range(count)))
            turns, longest, last = 0, 0.0, time.monotonic()
            while not calls.done():
                await asyncio.sleep(0)
                turns, now = turns + 1, time.monotonic()
                longest, last = max(longest, now - last), now
                assert store._pool.threads <= (16 if far else 8)
            assert [value] * count == await calls
            return turns, longest

    turns, longest = asyncio.run(work())
    assert turns > 20
    assert longest < 20  # seconds; on an idle machine hundredths
    assert threading.active_count() <= before + 5  # those of the place may be about to end


def test_several_loops_use_one_store():
    """Loops in different threads share a store and its threads."""
    store = ObjectStore(f"memory://{uuid.uuid4()}")
    view = store.at(namespace="dev", run="r1")

    async def work(number):
        await asyncio.gather(*(view.put(f"{number}-{i}", i) for i in range(50)))

    loops = [threading.Thread(target=asyncio.run, args=[work(i)]) for i in range(4)]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    assert 200 == len(asyncio.run(view.list()))
    asyncio.run(store.close())


def test_closing_waits_for_the_calls_and_ends_the_threads():
    """close() lets what is under way end, then everything; afterwards every verb refuses."""

    async def work():
        store, value = ObjectStore(f"memory://{uuid.uuid4()}"), Slow()
        other = runstore.ObjectStore(store.url)  # keeps the objects
        view = store.at(namespace="dev", run="r1")
        put = asyncio.create_task(view.put("x", value))
        await until(value.begun.is_set)
        closing = [asyncio.create_task(store.close()) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in (put, *closing))
        with pytest.raises(StoreClosedError, match="memory://"):
            await view.get("x")
        value.go_on.set()
        await asyncio.gather(put, *closing)
        await until(lambda: store._pool.threads == 0)
        assert other.at(namespace="dev", run="r1").exists("x")
        with pytest.raises(StoreClosedError):
            await store.namespaces()
        with pytest.raises(StoreClosedError):
            await store.__aenter__()
        other.close()

    asyncio.run(work())


def test_idle_threads_end(monkeypatch):
    """A store that is not closed keeps no threads either."""
    monkeypatch.setattr("runstore.aio._pool._IDLE", 0.01)

    async def work():
        store = ObjectStore(f"memory://{uuid.uuid4()}")
        for _ in range(3):
            await asyncio.gather(*(store.at(run=f"r{i}").put("x", 1) for i in range(30)))
            await until(lambda: store._pool.threads == 0)
        await store.close()

    asyncio.run(work())


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_goes_on_by_itself(tmp_path):
    """A process that is forked while calls are under way has threads of its own."""
    store = ObjectStore(tmp_path)
    view = store.at(namespace="dev", run="r1")

    async def work(name):
        await asyncio.gather(*(view.put(f"{name}-{i}", i) for i in range(20)))

    async def parent():
        value = Slow()
        put = asyncio.create_task(view.put("slow", value))
        await until(value.begun.is_set)
        child = os.fork()
        if child == 0:
            asyncio.events._set_running_loop(None)
            try:
                asyncio.run(work("child"))
            finally:
                os._exit(0)
        value.go_on.set()
        await asyncio.gather(put, work("parent"))
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert 41 == len(await view.list())

    asyncio.run(parent())


def test_it_is_sent_by_name_and_address():
    """The module pickles by its name, a store and a view by the store's address."""
    assert object_store is pickle.loads(pickle.dumps(object_store))
    assert object_store.put.__self__ is pickle.loads(pickle.dumps(object_store.put)).__self__
    store = ObjectStore(f"memory://{uuid.uuid4()}", timeout=7)
    view = pickle.loads(pickle.dumps(store.at(namespace="dev", run="r1")))
    assert (store.address, "dev", "r1") == (view.store.address, view.namespace, view.run)
    assert "aio.ObjectStore('memory://" in repr(store)
    assert "outside a run" in repr(object_store)


def test_an_attempt_that_was_given_up_writes_nothing(tmp_path):
    """A lease holds here, too: of the run, up to the last look."""

    async def work():
        with run_context(namespace="dev", run="r1", store=tmp_path):
            ctx = get_run_context()
        lease, value = Lease(uuid.uuid4().hex, "attempt 1 of stage 's' of run 'dev/r1'"), Slow()
        with use_run_context(ctx.leased(lease)):
            put = asyncio.create_task(object_store.put("x", value))
        await until(value.begun.is_set)
        lease.revoke("it was given up")
        value.go_on.set()
        with pytest.raises(StaleRunError, match="given up"):
            await put

    asyncio.run(work())
    assert [] == runstore.ObjectStore(tmp_path).at(namespace="dev", run="r1").list()


def test_tables_in_pieces(given):
    """They are written and read to await; a block that fails or is cancelled stores nothing."""

    async def failing(view):
        async with view.writer("y") as w:
            await w.write(pd.DataFrame({"a": [1]}))
            raise ZeroDivisionError

    async def endless(view, begun):
        async with view.writer("z") as w:
            await w.write(pd.DataFrame({"a": [1]}))
            begun.set()
            await asyncio.Event().wait()

    async def work():
        async with ObjectStore(**given) as store:
            view = store.at(namespace="dev", run="r1")
            async with view.writer("x") as w:
                await w.write(pd.DataFrame({"a": [0, 1]}))
                await w.write_all(pd.DataFrame({"a": [i, i]}) for i in (2, 3))
            assert (6, 6) == (w.rows, w.info.rows)
            batches = [batch async for batch in view.iter_batches("x", batch_rows=4)]
            assert [0, 1, 2, 2, 3, 3] == pd.concat(batches)["a"].tolist()
            assert 2 == len(await view.get("x", filters=[("a", ">", 2)]))
            assert 6 == (await view.scan("x")).count_rows()
            with pytest.raises(ZeroDivisionError):
                await failing(view)
            begun = asyncio.Event()
            task = asyncio.create_task(endless(view, begun))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert ["x"] == [info.name for info in await view.list()]

    asyncio.run(work())


def test_a_store_is_looked_into(tmp_path):
    """`verify`, `audit` and `diff` give what those of the other store give."""

    async def work():
        async with ObjectStore(tmp_path / "store") as store:
            await store.at(namespace="dev", run="r1").put_many({"a": 1, "b": 2})
            found = [one.ref async for one in store.verify("dev")]
            assert ["dev/r1/a", "dev/r1/b"] == found
            assert 2 == (await store.audit()).objects
            assert not (await store.diff("dev/r1/a", "dev/r1/b")).equal

    asyncio.run(work())


def test_other_scopes_and_runs_of_the_current_store(tmp_path):
    """`at` and `runs` of the module are those of the store of the run that awaits them."""

    async def work():
        with run_context(namespace="dev", run="r1", store=tmp_path / "store"):
            view = object_store.at(run="r2")
            await view.put("x", 1)
            assert 1 == await object_store.get("x", run="r2")
            store = runstore.ObjectStore(tmp_path / "store")
            for namespace, name in (("dev", "one"), ("other", "two")):
                store.write_run(new_run("w", namespace=namespace, name=name))
            found = await object_store.runs(workflow="w")
            assert ["one"] == [run.name for run in found]
            assert ["two"] == [run.name for run in await object_store.runs("other", workflow="w")]

    asyncio.run(work())

import asyncio
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import cloudpickle
import numpy as np
import pytest

from runstore import (
    ContextProcessPoolExecutor,
    ContextThreadPoolExecutor,
    NoRunContextError,
    ObjectStore,
    bind,
    get_run_context,
    object_store,
    run_context,
)
from runstore.context import find_run_context
from runstore.errors import InvalidRequestError


def where(*args):
    """Say which run this code is part of."""
    ctx = find_run_context()
    return None if ctx is None else (ctx.namespace, ctx.run.name, *args)


def store_and_read(name):
    object_store.put(name, get_run_context().run.name)
    return object_store.get(name)


def test_bind_carries_the_context_into_a_thread_and_leaves_none_there():
    """A bound function runs in its context; the pool's thread is clean afterwards."""
    with ThreadPoolExecutor(1) as pool:
        with run_context(namespace="dev", run="r1"):
            bound = bind(where)
        assert ("dev", "r1", 1) == pool.submit(bound, 1).result()
        assert pool.submit(where).result() is None


def test_a_reused_thread_never_sees_an_older_run():
    """One worker serves two runs in turns, each in its own context."""
    with ThreadPoolExecutor(1) as pool:
        for name in ("r1", "r2", "r1"):
            with run_context(namespace="dev", run=name):
                assert ("dev", name) == pool.submit(bind(where)).result()


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_bind_carries_the_context_into_processes(method, tmp_path):
    """In a pool of processes of any kind a bound function stores under its own run."""
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        for name in ("r1", "r2"):
            with run_context(namespace="dev", run=name, store=tmp_path / "store"):
                assert name == pool.submit(bind(store_and_read), "x").result()
                assert name == object_store.get("x")
        assert pool.submit(where).result() is None


def test_bind_is_by_value():
    """What the caller does after bind() changes nothing for the bound function."""
    with run_context(namespace="dev", run="r1"):
        bound = bind(where)
    with run_context(namespace="dev", run="r2"):
        assert ("dev", "r1") == bound()
        assert ("dev", "r1") == pickle.loads(pickle.dumps(bound))()
        assert ("dev", "r2") == where()


def test_functions_that_name_the_facade_can_be_cloudpickled():
    """A function from nowhere importable that uses object_store goes by value and works."""
    namespace = {}
    exec(  # as if typed into a notebook
        "from runstore import get_run_context, object_store\n"
        "def stage():\n"
        "    object_store.put('x', 1)\n"
        "    return object_store.get('x'), get_run_context().run.name\n",
        namespace,
    )
    stage = namespace["stage"]
    stage.__module__ = "__main__"
    with run_context(run="r", store="memory://cloudpickled"):
        back = cloudpickle.loads(cloudpickle.dumps(bind(stage)))
    assert (1, "r") == back()


def test_the_facade_pickles_by_name():
    """Unpickling the facade gives the very same module."""
    assert object_store is pickle.loads(pickle.dumps(object_store))
    assert object_store is cloudpickle.loads(cloudpickle.dumps(object_store))
    assert object_store.put.__name__ == pickle.loads(pickle.dumps(object_store.put)).__name__


def test_bind_works_for_coroutines():
    """A bound coroutine function has its context until it is done."""

    async def coroutine():
        await asyncio.sleep(0)
        return where()

    with run_context(namespace="dev", run="r"):
        bound = bind(coroutine)
    assert ("dev", "r") == asyncio.run(bound())


def test_bind_outside_a_run_raises():
    """There is no context to bind to, and none is invented."""
    with pytest.raises(NoRunContextError):
        bind(where)


def test_the_pool_carries_the_context_of_each_submit():
    """ContextThreadPoolExecutor runs each task in the context it was submitted from."""
    with ContextThreadPoolExecutor(1) as pool:
        assert pool.submit(where).result() is None
        with run_context(namespace="dev", run="r1"):
            assert ("dev", "r1", 1) == pool.submit(where, 1).result()
            assert [("dev", "r1", 1), ("dev", "r1", 2)] == list(pool.map(where, [1, 2]))
        assert pool.submit(where).result() is None


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_the_process_pool_carries_the_context_of_each_submit(method, tmp_path):
    """ContextProcessPoolExecutor runs each task in the context it was submitted from, or none."""
    context = multiprocessing.get_context(method)
    with ContextProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(where).result() is None
        for name in ("r1", "r2"):
            with run_context(namespace="dev", run=name, store=tmp_path / "store"):
                assert name == pool.submit(store_and_read, "x").result()
                assert [("dev", name, 1), ("dev", name, 2)] == list(pool.map(where, [1, 2]))
        assert pool.submit(where).result() is None


def test_a_bound_function_tells_what_it_is():
    """Its repr names function and run, its name and doc are the function's."""
    with run_context(namespace="dev", run="r"):
        bound = bind(where)
    assert "bind(where, run=dev/r)" == repr(bound)
    assert ("where", where.__doc__) == (bound.__name__, bound.__doc__)


_MAIN = """
import multiprocessing, sys
import cloudpickle
from runstore import bind, get_run_context, object_store, run_context

def stage(n):
    object_store.put("x", [n, get_run_context().run.name])
    return object_store.get("x")

def call(payload, results):
    results.put(cloudpickle.loads(payload)(7))

if __name__ == "__main__":
    with run_context(namespace="dev", run="r1", store=sys.argv[1]):
        payload = cloudpickle.dumps(bind(stage))
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=call, args=(payload, results))
    process.start()
    print(results.get(timeout=300))
    process.join()
"""


def test_a_stage_of_main_runs_in_a_spawned_process(tmp_path):
    """A cloudpickled function of a script's __main__ stores under its run in a spawned process."""
    script = tmp_path / "script.py"
    script.write_text(_MAIN)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "store")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "[7, 'r1']" == done.stdout.strip()
    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")
    assert [7, "r1"] == view.get("x")


@pytest.mark.parametrize("pool", [ContextThreadPoolExecutor, ContextProcessPoolExecutor])
def test_a_pool_that_cannot_be_is_refused(pool):
    """What is no number of workers, or cannot be called, is told in one sentence of ours."""
    for workers in (0, -1, "x", 1.5, True, np.array([1, 2]), 10**400):
        said = f"{pool.__name__}: max_workers must be a whole number from 1 to 1,000,000 or None, "
        with pytest.raises(InvalidRequestError, match=said):
            pool(workers)
    with pytest.raises(InvalidRequestError, match="initializer must be callable or None, not 3"):
        pool(1, initializer=3)
    with pytest.raises(InvalidRequestError, match="initargs must be a tuple, not"):
        pool(1, initializer=print, initargs="a")
    pool(np.int64(1)).shutdown()


def test_options_of_one_pool_are_checked():
    """What only threads, or only processes, have is told likewise."""
    forking = multiprocessing.get_context("fork")
    for pool, how, said in (
        (ContextThreadPoolExecutor, {"thread_name_prefix": 1}, "prefix must be a str, not"),
        (
            ContextProcessPoolExecutor,
            {"mp_context": "fork"},
            "a context of multiprocessing or None",
        ),
        (ContextProcessPoolExecutor, {"max_tasks_per_child": 0}, "a whole number from 1, not 0"),
        (
            ContextProcessPoolExecutor,
            {"max_tasks_per_child": 5, "mp_context": forking},
            "must be None, not 5; use another start method",
        ),
    ):
        with pytest.raises(InvalidRequestError, match=said):
            pool(1, **how)

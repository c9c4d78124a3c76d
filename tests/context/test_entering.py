"""Contexts do not leak: to the caller of a generator, to the next task, to another thread."""

import asyncio
import contextvars
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest

from runstore import (
    ContextProcessPoolExecutor,
    ContextThreadPoolExecutor,
    bind,
    run_context,
    use_run_context,
)
from runstore.context import find_run_context


def current(*_):
    ctx = find_run_context()
    return None if ctx is None else ctx.run.name


@pytest.fixture
def ctx():
    """A context that is entered nowhere."""
    with run_context(run="r") as ctx:
        pass
    return ctx


# One object of run_context in several places at once


def test_two_threads_in_one_object():
    """Each thread leaves its own entry, in whatever order they come and go."""
    shared, both_in, first_out = (
        run_context(namespace="dev"),
        threading.Barrier(2),
        threading.Event(),
    )

    def work(first):
        with shared as ctx:
            both_in.wait(60)
            inside = current() == ctx.run.name
            if not first:
                assert first_out.wait(60)
        outside = current()
        if first:
            first_out.set()
        return inside, outside

    with ThreadPoolExecutor(2) as pool:
        assert [(True, None)] * 2 == list(pool.map(work, [True, False]))
        assert [None, None] == list(pool.map(current, [1, 2]))


def test_two_tasks_in_one_object():
    """Each task leaves its own entry, also if it inherited one of the same object."""
    shared = run_context(namespace="dev")

    async def work(ended, wait):
        before = current()
        with shared as ctx:
            if wait:
                await ended.wait()
            inside = current() == ctx.run.name
        ended.set()
        return inside, current() == before

    async def main():
        ended = asyncio.Event()
        with shared as outer:
            found = await asyncio.gather(work(ended, True), work(ended, False))
            return found, current() == outer.run.name

    assert ([(True, True), (True, True)], True) == asyncio.run(main())
    assert current() is None


def test_one_object_entered_twice_by_one_function():
    """Entered again inside itself it has two entries, and each is left once."""
    shared = run_context()
    with shared as outer:
        with shared as inner:
            assert inner.run.name == current()
        assert outer.run.name == current()
    assert current() is None


def test_two_generators_in_one_object():
    """Generators that are left in the order in which they were entered each leave their own."""
    shared = run_context()

    def steps():
        with shared as ctx:
            yield ctx.run.name
            yield current()

    one, two = steps(), steps()
    first, second = next(one), next(two)
    assert first != second
    one.close()
    assert second == next(two)
    two.close()
    assert current() is None


# Code that runs after its function has returned


class Call:
    """An object that is called like a coroutine function."""

    async def __call__(self):
        await asyncio.sleep(0)
        return current()


async def coroutine():
    await asyncio.sleep(0)
    return current()


def generator():
    yield current()
    yield current()


async def async_generator():
    yield current()
    await asyncio.sleep(0)
    yield current()


LATE = [Call(), coroutine, lambda: coroutine(), partial(coroutine), partial(Call().__call__)]


@pytest.mark.parametrize("function", LATE, ids=["object", "function", "lambda", "partial", "bound"])
def test_whatever_gives_a_coroutine(function, ctx):
    """The coroutine's body runs in the bound run, and it is a coroutine still."""
    made = bind(function, ctx)()
    assert inspect.iscoroutine(made)

    async def main():
        with run_context(run="outer"):
            return await made, current()

    assert ("r", "outer") == asyncio.run(main())


@pytest.mark.parametrize("function", [generator, lambda: generator(), partial(generator)])
def test_whatever_gives_a_generator(function, ctx):
    """The generator's body runs in the bound run, and it is a generator still."""
    made = bind(function, ctx)()
    assert inspect.isgenerator(made)
    with run_context(run="outer"):
        assert [("r", "outer"), ("r", "outer")] == [(item, current()) for item in made]


@pytest.mark.parametrize("function", [async_generator, lambda: async_generator()])
def test_whatever_gives_an_async_generator(function, ctx):
    """The async generator's body runs in the bound run, and it is one still."""
    made = bind(function, ctx)()
    assert inspect.isasyncgen(made)

    async def main():
        with run_context(run="outer"):
            return [(item, current()) async for item in made]

    assert [("r", "outer"), ("r", "outer")] == asyncio.run(main())


def test_the_name_stays(ctx):
    """What is wrapped keeps its name, so that tracebacks and task names say what it is."""
    made = bind(lambda: generator(), ctx)()
    assert ("generator", "generator") == (made.__name__, made.__qualname__)


async def echo(told):
    """Answer what is sent with it and the run; say what was thrown; note the end."""
    try:
        answer = "begun"
        while True:
            try:
                answer = yield answer, current()
            except LookupError as exc:
                answer = f"caught {exc.args[0]}"
    finally:
        await asyncio.sleep(0)
        told.append(current())


@pytest.mark.parametrize("function", [echo, lambda told: echo(told)])
def test_an_async_generator_is_driven_whole(function, ctx):
    """asend, athrow and aclose reach the bound async generator, in its run."""
    told = []

    async def main():
        items = bind(function, ctx)(told)
        found = [
            await anext(items),
            await items.asend("one"),
            await items.athrow(LookupError("two")),
            await items.asend("three"),
        ]
        await items.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(items)
        return found

    expected = [("begun", "r"), ("one", "r"), ("caught two", "r"), ("three", "r")]
    assert expected == asyncio.run(main())
    assert ["r"] == told


def test_an_async_generator_that_is_not_finished(ctx, caplog):
    """Left behind, its end runs in its run when the loop ends it."""
    told = []

    async def main(kept):
        items = bind(echo, ctx)(told)
        await anext(items)
        kept.append(items)  # alive until the loop looks for what is left

    kept = []
    asyncio.run(main(kept))
    assert ["r"] == told
    assert [] == [record for record in caplog.records if record.levelname == "ERROR"]


def test_an_error_thrown_into_an_async_generator_comes_out(ctx):
    """An error that it does not catch ends it and reaches the caller."""
    told = []

    async def main():
        items = bind(echo, ctx)(told)
        await anext(items)
        with pytest.raises(ZeroDivisionError):
            await items.athrow(ZeroDivisionError())
        with pytest.raises(StopAsyncIteration):
            await items.asend(1)

    asyncio.run(main())
    assert ["r"] == told


def test_a_coroutine_driven_by_hand(ctx):
    """Between the steps of a bound coroutine its driver has its own run, also if it enters one."""

    class Suspend:
        def __await__(self):
            return (yield current())

    async def body():
        with run_context(run="inner"):
            return await Suspend()

    steps = bind(body, ctx)()
    assert ("inner", None) == (steps.send(None), current())
    with pytest.raises(StopIteration) as stop:
        steps.send("sent")
    assert ("sent", None) == (stop.value.value, current())


# What a step enters is not for its caller


def enters():
    """Enter a run of its own, and stay in it over its items."""
    with run_context(run="inner"):
        yield current()
        yield current()
    yield current()


def test_a_bound_generator_that_enters_a_run(ctx):
    """The inner run is there in its next step, and never for the caller."""
    steps = bind(enters, ctx)()
    with run_context(run="outer"):
        found = [(next(steps), current()), (next(steps), current()), (next(steps), current())]
    assert [("inner", "outer"), ("inner", "outer"), ("r", "outer")] == found


def test_its_steps_may_be_driven_from_several_threads(ctx):
    """What a step has entered goes with the generator, not with the thread."""
    steps = bind(enters, ctx)()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        found = [pool.submit(next, steps).result() for pool in (one, two, one)]
        assert ["inner", "inner", "r"] == found
        assert [None, None] == [pool.submit(current).result() for pool in (one, two)]


def test_an_async_generator_that_enters_a_run(ctx):
    """The same for async generators."""

    async def entering():
        with run_context(run="inner"):
            yield current()
            await asyncio.sleep(0)
            yield current()

    async def main():
        return [(item, current()) async for item in bind(entering, ctx)()]

    assert [("inner", None), ("inner", None)] == asyncio.run(main())


def test_a_bound_call_that_leaves_a_run_open(ctx):
    """A run that a bound function enters and does not leave ends with the call."""

    def leaves_open():
        run_context(run="open").__enter__()
        return current()

    assert ("open", None) == (bind(leaves_open, ctx)(), current())


def test_a_run_that_ends_inside_a_bound_call_does_not_come_back(ctx):
    """A context of the caller that is left inside the call is left."""
    outer = run_context(run="outer")
    outer.__enter__()
    bind(lambda: outer.__exit__(None, None, None), ctx)()
    assert current() is None


def test_the_body_of_a_for_loop_stays_out_of_an_existing_run(ctx):
    """The same for a generator that enters an existing context."""

    def enters_it():
        with use_run_context(ctx):
            yield current()
            yield current()

    assert [("r", None), ("r", None)] == [(item, current()) for item in enters_it()]
    with run_context(run="outer"):
        assert [("r", "outer"), ("r", "outer")] == [(item, current()) for item in enters_it()]
    decorated = use_run_context(ctx)(generator)
    assert {("r", None)} == {(item, current()) for item in decorated()}


def test_the_body_of_a_for_loop_stays_in_its_run():
    """A plain generator that enters a run does not put the loop over it into that run."""
    with run_context(run="outer"):
        assert ["outer"] * 3 == [current() for _ in enters()]
        found = []
        for item in enters():
            found.append((item, current()))
            with run_context(run="body"):
                found.append(current())
        expected = [
            ("inner", "outer"),
            "body",
            ("inner", "outer"),
            "body",
            ("outer", "outer"),
            "body",
        ]
        assert expected == found
    assert current() is None


def test_loops_through_other_iterators():
    """enumerate, zip and `yield from` in between change nothing."""

    def around():
        yield from enters()

    assert [None] * 3 == [current() for _ in enumerate(enters())]
    assert [None] * 3 == [current() for _ in zip(enters(), range(3), strict=True)]
    assert ["inner", "inner", None] == list(around())
    assert [None] * 3 == [current() for _ in around()]


def test_a_loop_that_is_broken_off():
    """A loop that ends early ends the generator's run; nothing of it stays."""
    for _ in enters():
        break
    assert current() is None
    steps = enters()
    for _ in steps:
        assert current() is None
        break
    steps.close()
    assert current() is None


def test_who_calls_next_is_in_the_generators_run():
    """Context managers and fixtures made of a generator work as ever."""

    @contextmanager
    def managed():
        with run_context(run="managed"):
            yield

    with managed():
        assert "managed" == current()
    assert current() is None
    steps = enters()
    next(steps)
    assert "inner" == current()
    steps.close()
    assert current() is None


def test_what_began_in_a_generators_run_stays_in_it():
    """Tasks and copies of the context that were made inside keep the run between the items."""

    def spawns():
        with run_context(run="inner"):
            yield asyncio.create_task(coroutine()), contextvars.copy_context()

    async def main():
        for task, copied in spawns():
            assert current() is None
            in_thread = await asyncio.to_thread(copied.run, current)
            return await task, in_thread
        return None

    assert ("inner", "inner") == asyncio.run(main())


# Pools


def leave_open(name="left open"):
    run_context(run=name).__enter__()


@pytest.mark.parametrize("pool_of", [ContextThreadPoolExecutor, ContextProcessPoolExecutor])
def test_what_a_task_leaves_open_is_not_there_for_the_next(pool_of, ctx):
    """Outside a run and in one, no task finds what an earlier one has entered."""
    with pool_of(1) as pool:
        pool.submit(leave_open).result()
        assert pool.submit(current).result() is None
        with use_run_context(ctx):
            pool.submit(leave_open).result()
            assert "r" == pool.submit(current).result()
        assert pool.submit(current).result() is None


@pytest.mark.parametrize("pool_of", [ContextThreadPoolExecutor, ContextProcessPoolExecutor])
def test_what_an_initializer_leaves_open_is_not_there_for_any(pool_of, ctx):
    """An initializer's run is not that of the tasks."""
    with pool_of(1, initializer=leave_open) as pool:
        assert [None, None] == list(pool.map(current, [1, 2]))
        with use_run_context(ctx):
            assert "r" == pool.submit(current).result()

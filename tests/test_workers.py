"""Threads for the length of a call end with it, and an interrupt does not wait for them."""

import threading
import time
import weakref

import pytest

from runstore.workers import (
    StoppedError,
    Workers,
    cancelling,
    check_stopped,
    pause,
    spared,
)


def ours(name):
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_results_come_in_the_order_of_the_items():
    """map() gives each item's result in its place, whichever was ready first."""
    with Workers(4, "ordered") as workers:
        assert [9, 4, 1, 0] == workers.map(lambda n: time.sleep(n / 100) or n * n, [3, 2, 1, 0])
    assert [] == ours("ordered")


def test_a_long_block_keeps_no_results():
    """What is done is forgotten, however many tasks the block has."""

    class Result:
        pass

    with Workers(2, "forgetting") as workers:
        for _ in range(50):
            kept = weakref.WeakSet(workers.map(lambda _: Result(), range(20)))
        pause(0)
        assert len(workers._futures) <= 2
        assert len(kept) <= 2


def test_no_more_threads_than_asked_for_and_none_without_work():
    """A thread starts with a task that no idle one takes."""
    seen, barrier = set(), threading.Barrier(3)

    def task(_):
        seen.add(threading.current_thread().name)
        barrier.wait(60)

    with Workers(3, "few") as workers:
        assert [] == ours("few")
        workers.map(task, range(9))
    assert 3 == len(seen)


def test_an_error_is_raised_where_it_is_awaited_and_ends_the_block():
    """What a task raises comes out of the block; tasks that have not begun never do."""
    begun = []

    def task(n):
        begun.append(n)
        if n == 0:
            raise ValueError("n")
        pause(0.05)

    with pytest.raises(ValueError, match="n"), Workers(1, "failing") as workers:
        workers.map(task, range(100))
    assert len(begun) < 100


def test_a_block_that_is_interrupted_does_not_wait_for_what_hangs():
    """A task that is deaf goes on as a daemon; the block ends without it."""
    go_on, begun = threading.Event(), threading.Event()

    def deaf():
        begun.set()
        go_on.wait(120)

    def call():
        with Workers(1, "deaf") as workers:
            workers.submit(deaf)
            begun.wait(60)
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        call()
    assert time.monotonic() - start < 60
    assert all(thread.daemon for thread in ours("deaf"))
    go_on.set()


def test_threads_are_told_to_stop_also_those_of_inner_workers():
    """pause(), check_stopped() and cancelling() end in all of them."""
    begun, cancelled, ended = threading.Barrier(4), threading.Event(), []

    def pausing():
        begun.wait(60)
        try:
            pause(120)
        except StoppedError:
            ended.append("paused")
            raise

    def waiting():
        with cancelling(cancelled.set):
            begun.wait(60)
            cancelled.wait(120)
        ended.append("cancelled")
        with spared():
            check_stopped()
        check_stopped()

    def outer():
        with Workers(1, "inner") as workers:
            workers.map(lambda _: pausing(), [1])

    futures = []

    def call():
        with Workers(3, "stopped") as workers:
            futures.extend(workers.submit(one) for one in (pausing, waiting, outer))
            begun.wait(60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call()
    assert {StoppedError} == {type(future.exception(60)) for future in futures}
    assert ["cancelled", "paused", "paused"] == sorted(ended)


def test_outside_of_workers_there_is_nothing_to_stop():
    """In any other thread the helpers do what their names say, and no more."""
    check_stopped()
    pause(0)
    with cancelling(lambda: pytest.fail("cancelled")), spared():
        pass

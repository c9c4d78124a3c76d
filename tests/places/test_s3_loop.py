"""The event loop of the S3 connections, and the threads that wait for it."""

import asyncio
import gc
import threading
import warnings

import pytest

from runstore.places._cloud._loop import EventLoop


@pytest.mark.parametrize("begins", [True, False], ids=["begun", "not begun"])
def test_an_interrupt_before_the_future_is_held_leaves_nothing_to_come(monkeypatch, begins):
    """What the loop has begun with is over when the interrupt arrives; the rest never begins."""
    loop, sent, arrived, begin = EventLoop(), [], threading.Event(), EventLoop._begin

    async def work():
        arrived.set()
        await asyncio.sleep(0.3)
        sent.append("request")

    def interrupted(self, given, timeout):
        if not begins:
            raise KeyboardInterrupt
        begin(self, given, timeout)
        assert arrived.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(EventLoop, "_begin", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        loop.write(work, 60, "s3://b/k")
    assert (["request"] if begins else []) == sent
    assert [] == getattr(caught.value, "__notes__", [])


def test_an_interrupt_before_the_future_is_held_says_what_nobody_knows(monkeypatch):
    """What is not over in time is cancelled, and the interrupt has a note."""
    loop, arrived, cancelled = EventLoop(), threading.Event(), threading.Event()
    begin = EventLoop._begin

    async def work():
        arrived.set()
        try:
            await asyncio.sleep(600)
        finally:
            cancelled.set()

    def interrupted(self, given, timeout):
        begin(self, given, timeout)
        assert arrived.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(EventLoop, "_begin", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        loop.write(work, 600, "s3://b/k")
    assert "s3://b/k" in caught.value.__notes__[0]
    assert cancelled.wait(60)


def test_what_an_interrupt_keeps_from_the_loop_is_not_reported_as_forgotten(monkeypatch):
    """Whatever step the interrupt comes at, Python has no coroutine that was never awaited."""
    loop, real = EventLoop(), asyncio.run_coroutine_threadsafe

    def interrupted(work, into):
        if into is not loop._loop:  # what other tests have left is closed by it, too
            return real(work, into)
        raise KeyboardInterrupt

    async def work():
        await asyncio.sleep(0)

    loop.run(work, 60)
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for call in (lambda: loop.run(work, 60), lambda: loop.write(work, 60, "s3://b/k")):
            with pytest.raises(KeyboardInterrupt):
                call()
        gc.collect()
    assert [] == [one for one in map(str, (one.message for one in said)) if "work" in one]

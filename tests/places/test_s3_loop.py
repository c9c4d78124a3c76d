"""The event loop of the S3 connections, and the threads that wait for it."""

import asyncio
import threading

import pytest

from runstore.places._s3._loop import EventLoop


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
            given.close()
            raise KeyboardInterrupt
        begin(self, given, timeout)
        assert arrived.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(EventLoop, "_begin", interrupted)
    coroutine = work()
    with pytest.raises(KeyboardInterrupt) as caught:
        loop.write(coroutine, 60, "s3://b/k")
    coroutine.close()
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
        loop.write(work(), 600, "s3://b/k")
    assert "s3://b/k" in caught.value.__notes__[0]
    assert cancelled.wait(60)

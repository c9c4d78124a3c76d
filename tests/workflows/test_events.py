"""Events and log lines: the same story, told twice."""

import logging
import threading
from typing import Any

import pytest

from runstore.errors import StageError
from runstore.workflows import RunEvent


def test_story_of_a_run(run: Any, flow: Any) -> None:
    """A run tells when it and its stages start and end, and each item of a mapped stage."""
    events: list[RunEvent] = []
    run(
        flow(a=lambda: [1, 2], b=(abs, {"type": "parameterized"})), run="r1", on_event=events.append
    )
    assert [
        ("run", None, "running", 0, 2),
        ("stage", "a", "running", 0, 1),
        ("stage", "a", "finished", 1, 1),
        ("stage", "b", "running", 0, 2),
        ("item", "b", "running", 1, 2),
        ("item", "b", "running", 2, 2),
        ("stage", "b", "finished", 2, 2),
        ("run", None, "finished", 2, 2),
    ] == [(event.kind, event.stage, event.state, event.done, event.total) for event in events]
    assert {"r1"} == {event.run for event in events}
    ended = [event.seconds is not None for event in events]
    assert [event.state == "finished" for event in events] == ended


def test_story_of_a_failure(threads: Any, flow: Any) -> None:
    """Retries, failures and skipped stages are told, with the reason."""
    events: list[RunEvent] = []
    threads(
        flow(a=(lambda: 1 / 0, {"retries": 1}), b=(str, {"depends_on": "a"})),
        on_event=events.append,
        raise_on_failure=False,
    )
    assert [
        ("run", None, "running"),
        ("stage", "a", "running"),
        ("retry", "a", "running"),
        ("stage", "a", "failed"),
        ("stage", "b", "skipped"),
        ("run", None, "failed"),
    ] == [(event.kind, event.stage, event.state) for event in events]
    assert "attempt 2, after ZeroDivisionError: division by zero" in events[2].message
    assert "ZeroDivisionError: division by zero" in events[3].message


def test_items_that_were_left_out_are_counted(threads: Any, flow: Any) -> None:
    """An item's event says how many have failed so far, in numbers and in words."""
    events: list[RunEvent] = []
    skip = {"type": "parameterized", "options": {"on_item_error": "skip"}}
    threads(
        flow(a=lambda: [0, 1, 0], b=(lambda n: 1 // n, skip)),
        on_event=events.append,
        executor_options={"workers": 1},
    )
    items = [event for event in events if event.kind == "item"]
    assert [1, 1, 2] == [event.failed for event in items]
    assert items[-1].message.endswith("3 of 3 items done, 2 failed")


def test_log_tells_the_same(threads: Any, flow: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Every event is a line of the log, in which namespace, run and stage stand."""
    events: list[RunEvent] = []
    with caplog.at_level(logging.DEBUG, "runstore.workflow"):
        threads(flow(a=lambda: 1), run="r1", namespace="team", on_event=events.append)
    assert [event.message for event in events] == caplog.messages
    assert {"INFO"} == {record.levelname for record in caplog.records}
    assert "run team/r1 stage a: running" in caplog.messages


def test_events_come_from_the_calling_thread(threads: Any, flow: Any) -> None:
    """The callback is called in the thread that called run_workflow, so it needs no lock."""
    callers = set()
    threads(flow(a=dict, b=dict), on_event=lambda event: callers.add(threading.current_thread()))
    assert {threading.current_thread()} == callers


def test_callback_that_raises(threads: Any, flow: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A callback that raises is logged and called no more; the run goes on."""
    calls: list[RunEvent] = []

    def broken(event: RunEvent) -> None:
        calls.append(event)
        raise ValueError("no terminal")

    assert "finished" == threads(flow(a=dict), on_event=broken).state
    assert 1 == len(calls)
    warning = next(record for record in caplog.records if record.levelname == "WARNING")
    assert "on_event raised and will not be called again" in warning.getMessage()
    assert warning.exc_info is not None


def test_callback_cannot_hide_a_failure(threads: Any, flow: Any) -> None:
    """A failing stage is still raised as such if the callback raises too."""
    with pytest.raises(StageError, match="ZeroDivisionError"):
        threads(flow(a=lambda: 1 / 0), on_event=lambda event: 1 + "")  # type: ignore[operator]

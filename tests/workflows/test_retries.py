"""Retries: after which errors, after how long, and how many items of a stage run at once."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runstore import Stage, get_run_context, run_workflow, stage, workflow
from runstore.errors import InvalidWorkflowError
from runstore.workflows import load_workflow
from runstore.workflows._retries import delay_of

MAPPED = {"type": "parameterized"}


class FlakyError(Exception):
    """Cannot be rebuilt elsewhere from what it is pickled as."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")


class SubError(FlakyError):
    """Derived from another."""


def attempt() -> int:
    """Return the number of the current attempt."""
    here = get_run_context().stage
    assert here is not None
    return here.attempt


@pytest.mark.parametrize(
    "given", [FlakyError, "LookupError", ["OSError", f"{__name__}.FlakyError"]]
)
def test_retry_on_what_is_given(given: Any, run: Any, flow: Any) -> None:
    """Only the given errors and those derived from them are tried again, in every process."""
    raised = LookupError if given == "LookupError" else SubError

    def flaky() -> int:
        if attempt() < 3:
            raise KeyError("k") if raised is LookupError else SubError(code=1)
        return attempt()

    def hopeless() -> None:
        raise ValueError("not that one")

    fields = {"retries": 5, "retry_on": given}
    assert 3 == run(flow(a=(flaky, fields))).result
    failed = run(flow(a=(hopeless, fields)), raise_on_failure=False)
    assert ("failed", 1) == (failed.state, failed.stages[0].attempts)


def test_retry_on_names_that_are_none(threads: Any, flow: Any) -> None:
    """A name that is no error is refused before anything runs, with what to write."""
    for given, told in (
        ("ConectionError", "is no builtin error: write others as package.module.ConectionError"),
        ("json.dumps", "is no class of errors"),
        ("nowhere.Error", "there is no module 'nowhere'"),
    ):
        with pytest.raises(InvalidWorkflowError, match=told):
            threads(flow(a=(int, {"retries": 1, "retry_on": [given]})))


def test_delays_grow_to_their_bound() -> None:
    """Each delay is the one before times the back-off, no longer than the bound."""
    one = Stage(
        *(),
        name="a",
        target=int,
        retries=9,
        retry_delay=2,
        retry_backoff=3,
        retry_max_delay=20,
        retry_jitter=0,
    )
    assert [2, 6, 18, 20, 20] == [delay_of(one, number) for number in range(1, 6)]
    spread = one.model_copy(update={"retry_jitter": 0.5})
    assert [1, 3, 18 * 0.5] == [delay_of(spread, number, lambda: 0.0) for number in range(1, 4)]
    assert [3, 9, 20] == [delay_of(spread, number, lambda: 1.0) for number in range(1, 4)]


def test_a_delay_is_waited_and_others_go_on(threads: Any, flow: Any) -> None:
    """A retry begins no earlier than its delay, and its slot is free for others meanwhile."""
    times: list[float] = []
    other = threading.Event()

    def flaky() -> float:
        times.append(time.monotonic())
        if len(times) == 1:
            raise OSError("busy")
        return times[1] - times[0]

    events: list[Any] = []
    fields = {"retries": 1, "retry_delay": 0.2, "retry_jitter": 0}
    record = threads(
        flow(o=(other.set, {}), a=(flaky, fields)),
        executor_options={"workers": 1},
        on_event=events.append,
    )
    assert record.result >= 0.2
    assert other.is_set()
    (told,) = [event.text for event in events if event.kind == "retry"]
    assert "retried in 0.2 s, attempt 2, after OSError: busy" == told


def test_no_more_items_at_once_than_allowed(store: Path, flow: Any) -> None:
    """max_at_once bounds the items of its stage that run at once, and no other stage's."""
    lock, now, most = threading.Lock(), [0], [0]

    def item(number: int) -> int:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        if attempt() == 1 and number % 3 == 0:
            raise ValueError(number)
        return number

    limited = {**MAPPED, "options": {"max_at_once": 2}, "retries": 1}
    record = run_workflow(
        flow(a=lambda: list(range(12)), b=(item, limited)),
        store=store,
        executor_options={"workers": 6},
    )
    assert list(range(12)) == record.result
    assert 2 == most[0]


def test_in_yaml_and_in_python(tmp_path: Path) -> None:
    """The same can be written in YAML and with the decorator."""
    path = tmp_path / "flow.yaml"
    path.write_text(
        """\
metadata: {name: flow}
spec:
  stages:
    - name: fit
      target: json.dumps
      type: parameterized
      options: {map_on: cities, max_at_once: 3}
      retries: 4
      retry_delay: 1.5
      retry_backoff: 3
      retry_max_delay: 60
      retry_jitter: 0.2
      retry_on: [ConnectionError, json.JSONDecodeError]
"""
    )
    read = load_workflow(path).spec.stages[0]

    @stage(
        map_on="cities",
        max_at_once=3,
        retries=4,
        retry_delay=1.5,
        retry_backoff=3,
        retry_max_delay=60,
        retry_jitter=0.2,
        retry_on=(ConnectionError, "json.JSONDecodeError"),
    )
    def fit(city: str) -> str:
        return city

    made = workflow("flow", fit).spec.stages[0]
    assert read.options == made.options
    same = [name for name in type(read).model_fields if name.startswith("retr")]
    ours = {name: getattr(made, name) for name in same}
    assert ("builtins:ConnectionError", "json.JSONDecodeError") == ours.pop("retry_on")
    assert ours == {name: getattr(read, name) for name in ours}
    assert ("ConnectionError", "json.JSONDecodeError") == read.retry_on


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"retry_delay": -1}, "retry_delay"),
        ({"retry_backoff": 0.5}, "retry_backoff"),
        ({"retry_jitter": 2}, "retry_jitter"),
        ({"retry_delay": True}, "not true or false"),
        ({"retry_on": 3}, "retry_on"),
        ({"options": {"max_at_once": 0}}, "max_at_once"),
    ],
)
def test_values_that_cannot_be(fields: dict[str, Any], told: str, threads: Any, flow: Any) -> None:
    """Wrong values are refused before anything runs, naming the field."""
    with pytest.raises(InvalidWorkflowError, match=told):
        threads(flow(a=(int, fields)))

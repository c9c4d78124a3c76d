"""The limit of time for code in an engine's own thread."""

import threading
from typing import Any, Self

import pytest

from runstore.executors import _deadline
from runstore.executors._deadline import ExpiredError, deadline


class _Interrupting:
    """A lock in which the interruption of the code arrives, just as the code ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.code = threading.current_thread()

    def __enter__(self) -> Self:
        self._lock.acquire()
        if threading.current_thread() is self.code:
            self._lock.release()
            raise ExpiredError
        return self

    def __exit__(self, *how: Any) -> None:
        self._lock.release()


def test_an_interruption_at_the_very_end_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is interrupted while it ends is not taken for one that ignores its timeout.

    Its worker would be killed, and what else runs there with it.
    """
    monkeypatch.setattr(_deadline, "GRACE", 0.01)
    gave_up = []
    limit = deadline(3600, lambda: gave_up.append(True))
    with pytest.raises(ExpiredError), limit:
        limit._lock = _Interrupting()  # type: ignore[assignment]
    assert limit._ended.is_set()
    assert [] == gave_up

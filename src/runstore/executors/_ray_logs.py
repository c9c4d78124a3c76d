"""What stages on Ray log: workers leave it in Ray's key-value store, where the caller looks."""

import contextlib
import pickle
import threading
import time

from runstore.executors._logs import LogLine, OnLog, Sending
from runstore.lifetime import unique_id
from runstore.workers import joined

__all__ = ["RayLogs", "sink_for"]

_LOOK = 0.5  # seconds between looks


def _prefix(owner: str) -> str:
    return f"runstore-log-{owner}-"


class RayLogs:
    """A thread that takes what workers have left; it ends with `close`.

    Args:
        owner: Of the executor.
        on_log: Called with the lines.
    """

    def __init__(self, owner: str, on_log: OnLog) -> None:
        self._prefix = _prefix(owner)
        self._on_log = on_log
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="runstore ray logs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take what is left, and end."""
        self._over.set()
        joined(self._thread)

    def _look(self) -> None:
        while not self._over.wait(_LOOK):
            self._take()
        self._take()

    def _take(self) -> None:
        from ray.experimental.internal_kv import (
            _internal_kv_del,
            _internal_kv_get,
            _internal_kv_list,
        )

        with contextlib.suppress(Exception):  # Ray has gone away: the run says so, not this thread
            for key in sorted(_internal_kv_list(self._prefix)):
                data = _internal_kv_get(key)
                _internal_kv_del(key)
                if data is not None:
                    self._on_log(pickle.loads(data))  # noqa: S301 - from our own worker


def sink_for(owner: str) -> Sending:
    """Return the sink of a worker's call."""
    return Sending(lambda lines: _leave(owner, lines), stays=False, console=True)


def _leave(owner: str, lines: list[LogLine]) -> None:
    from ray.experimental.internal_kv import _internal_kv_put

    data = pickle.dumps(lines)
    _internal_kv_put(f"{_prefix(owner)}{time.time_ns():020d}-{unique_id()}", data)

"""What a worker process does until its pipe ends: read a call, make it, send the outcome.

It is started with `python -c`, not forked and not by `multiprocessing`, so it
never imports the caller's ``__main__``: a script needs no guard to use it.
"""

import contextlib
import os
import pickle
import signal
import sys
import threading
from contextvars import Context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from runstore import by_value
from runstore.context import Lease
from runstore.errors import UnsupportedValueError
from runstore.executors._failures import given_up, pack

__all__ = ["BEGUN", "DONE", "FAILED", "READY", "serve"]

READY, BEGUN, DONE, FAILED = b"ready", b"begun", b"done", b"failed"
"""Messages of a worker: it has started; it calls the function; the result or failure follows."""


def serve(fd: int) -> None:
    """Serve calls that come in over the socket *fd* until its other end is closed.

    If that happens during a call, the caller is gone: this process and what it
    started end at once.
    """
    os.set_inheritable(fd, False)  # what a stage starts must not keep the socket open
    pipe: Connection[Any, Any] = Connection(fd)
    calls: SimpleQueue[bytes | None] = SimpleQueue()
    busy = threading.Event()
    threading.Thread(
        target=_receive, args=(pipe, calls, busy), name="runstore worker pipe", daemon=True
    ).start()
    pipe.send_bytes(READY)
    while (payload := calls.get()) is not None:
        kind, content = Context().run(_outcome, payload, pipe)
        del payload
        for stream in (sys.stdout, sys.stderr):
            # Should the process be killed later, this is not lost. The stage may have closed it.
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        busy.clear()
        try:
            pipe.send_bytes(kind)
            pipe.send_bytes(content)
        except OSError:
            return  # the caller is gone, and nobody is left to tell


def _receive(
    pipe: "Connection[Any, Any]", calls: "SimpleQueue[bytes | None]", busy: threading.Event
) -> None:
    while True:
        try:
            payload = pipe.recv_bytes()
        except (EOFError, OSError):
            if busy.is_set():
                os.killpg(0, signal.SIGKILL)  # the process leads its own group
            calls.put(None)
            return
        busy.set()
        calls.put(payload)


def _outcome(payload: bytes, pipe: "Connection[Any, Any]") -> tuple[bytes, bytes]:
    lease: Lease | None = None
    try:
        try:
            lease, function, args = pickle.loads(payload)  # noqa: S301 - from our own parent
        finally:
            pipe.send_bytes(BEGUN)  # a timeout does not count the imports of a new process
        if lease is not None:
            lease.told = True  # it is revoked below, or this process ends
        result = function(*args)
    except BaseException as exc:  # noqa: BLE001 - a stage's own error, raised by the caller
        if lease is not None:
            lease.revoke(given_up(exc))
        return FAILED, pickle.dumps(pack(exc))
    try:
        return DONE, by_value.dumps(result)
    except Exception as exc:  # noqa: BLE001 - the pickling of a user's value is the user's code
        return FAILED, pickle.dumps(pack(_unsendable(result, exc)))


def _unsendable(result: object, reason: Exception) -> UnsupportedValueError:
    error = UnsupportedValueError(
        f"it returned a {type(result).__qualname__}, which cannot be pickled and so cannot leave "
        f"its process ({type(reason).__name__}: {reason}): put it into the object_store and return "
        "its name, or use the mode 'threads'"
    )
    error.__cause__ = reason
    return error

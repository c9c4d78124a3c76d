"""Calls in a process of their own, started when first needed and replaced when it dies."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from runstore import beside, by_value
from runstore.errors import InvalidRequestError, UnsupportedValueError, WorkflowError
from runstore.executors._base import Call
from runstore.executors._failures import timed_out, unpack
from runstore.executors._folder import beside_of
from runstore.executors._worker import DONE, READY

__all__ = ["ProcessWorker"]

_BOOT = (
    "import sys; fd = int(sys.argv[1]); sys.path[:] = sys.argv[2:]; sys.argv[1:] = []; "
    "from runstore.executors._worker import serve; serve(fd)"
)
_POLL = 1.0  # seconds between checks whether a worker that sends nothing still lives
_EXIT = 5.0  # seconds an idle worker has for its exit handlers


class ProcessWorker:
    """Runs one call after the other in a child process, for one thread at a time.

    Functions and values cross as cloudpickle makes them, so those of ``__main__``
    can. Standard output and error are the caller's. The child leads a process
    group of its own: Ctrl-C reaches the caller alone, and killing the group also
    kills what a stage has started.

    Args:
        import_path: Folders the child looks for modules in before the caller's `sys.path`.
    """

    def __init__(self, import_path: Sequence[str] = ()) -> None:
        self._import_path = tuple(import_path)
        self._modules = beside_of(import_path)
        self._child: _Child | None = None
        self._closed = False
        self._lock = threading.Lock()

    def run(self, call: Call) -> Any:
        """Return what the function returns; raise what it raises, with its remote traceback.

        Raises:
            StageTimeoutError: It took longer and was killed.
            UnsupportedValueError: Function, arguments or result cannot cross.
            WorkflowError: The process could not start, or died.
        """
        try:
            payload = by_value.dumps((call.lease, call.function, call.args))
        except Exception as exc:
            raise UnsupportedValueError(
                f"{call.label} cannot be sent to a process: its function or an argument cannot be "
                f"pickled ({type(exc).__name__}: {exc}). Pass data through the object_store, or "
                "use the mode 'threads'"
            ) from exc
        child = self._ready_child(call)
        try:
            child.pipe.send_bytes(payload)
            del payload
            child.answer(None)  # it has begun
            kind = child.answer(call.timeout)
            content = child.pipe.recv_bytes()
        except TimeoutError:
            self._discard(child)
            raise timed_out(call.label, call.timeout or 0, "its process was killed") from None
        except (EOFError, OSError):
            code = self._discard(child)
            raise WorkflowError(
                f"{call.label} did not end: its process {_how(code)} meanwhile"
            ) from None
        with beside.within(self._modules):
            return _result(call, kind, content)

    def close(self) -> None:
        """End the child; from the thread that runs calls."""
        with self._lock:
            self._closed = True
            child, self._child = self._child, None
        if child is not None:
            child.end()

    def kill(self) -> None:
        """Kill the child; from any thread. A call that runs there fails."""
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.kill()

    def _ready_child(self, call: Call) -> "_Child":
        with self._lock:
            if self._closed:
                raise InvalidRequestError(f"{call.label} was not started: the executor is closed")
            if self._child is None:
                try:
                    self._child = _Child(self._import_path)
                except OSError as exc:  # no memory, no process or no descriptor is left
                    raise WorkflowError(
                        f"{call.label} was not started: no process could be started for it "
                        f"({sys.executable}: {exc.strerror or exc})"
                    ) from exc
            child = self._child
        if not child.ready:
            try:
                child.ready = child.answer(None) == READY
            except (EOFError, OSError):
                code = self._discard(child)
                raise WorkflowError(
                    f"{call.label} was not started: its process {_how(code)} while starting; "
                    "standard error tells more"
                ) from None
        return child

    def _discard(self, child: "_Child") -> int:
        code = child.kill()
        child.pipe.close()
        with self._lock:
            self._child = None
        return code


class _Child:
    """A worker process and our end of its socket."""

    def __init__(self, import_path: Sequence[str]) -> None:
        self.ready = False
        self.pipe: Connection[Any, Any]
        self.pipe, theirs = Pipe()
        path = [*import_path, *(entry or str(Path.cwd()) for entry in sys.path)]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-c", _BOOT, str(theirs.fileno()), *dict.fromkeys(path)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                process_group=0,
            )

    def answer(self, timeout: float | None) -> bytes:
        """Wait for the next message.

        Raises:
            TimeoutError: None came within *timeout* seconds.
            EOFError: The process is gone.
            OSError: Likewise.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _POLL if deadline is None else min(_POLL, deadline - time.monotonic())
            if self.pipe.poll(max(left, 0)):
                return self.pipe.recv_bytes()
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError
            # A process that a stage has forked may keep the socket open after the worker has
            # ended. So the end of the pipe is not the only sign that it has.
            if self._process.poll() is not None and not self.pipe.poll(0):
                raise EOFError

    def kill(self) -> int:
        """Kill the process and what it has started; return its exit code."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def end(self) -> None:
        """Ask the idle process to end, and kill it if it does not."""
        self.pipe.close()
        try:
            self._process.wait(_EXIT)
        except subprocess.TimeoutExpired:
            self.kill()


def _result(call: Call, kind: bytes, content: bytes) -> Any:
    if kind != DONE:
        raise unpack(by_value.loads(content))
    try:
        return by_value.loads(content)
    except Exception as exc:
        raise UnsupportedValueError(
            f"what {call.label} returned cannot be unpickled here ({type(exc).__name__}: {exc}): "
            "put it into the object_store and return its name, or use the mode 'threads'"
        ) from exc


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", which is what the system does when memory runs out" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"

"""Calls in a process of their own, started when first needed and replaced when it dies."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from runstore import beside, by_value
from runstore.buffers import Buffer, flat
from runstore.errors import InvalidRequestError, UnsupportedValueError, WorkflowError
from runstore.executors._base import Call
from runstore.executors._failures import timed_out, unpack
from runstore.executors._folder import beside_of
from runstore.executors._link import Link
from runstore.executors._logs import OnLog
from runstore.executors._shared import Shared, pickled
from runstore.executors._worker import (
    BEGUN,
    CALLS,
    DONE,
    DROP,
    DROPPED,
    FORGET,
    LOGS,
    ONE,
    READY,
    SHARE,
)
from runstore.faults import is_own_fault

__all__ = ["ProcessWorker"]

_BOOT = (
    "import sys; fd = int(sys.argv[1]); sys.path[:] = sys.argv[2:]; sys.argv[1:] = []; "
    "from runstore.executors._worker import serve; serve(fd)"
)
_EXIT = 5.0  # seconds an idle worker has for its exit handlers
_PATIENCE = 0.25  # seconds that calls wait behind others in a worker
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})

Ended = Callable[[int, Any, "BaseException | None"], None]


class ProcessWorker:
    """Runs calls, one after the other, in a child process, for one thread at a time.

    Functions and values cross as cloudpickle makes them, so those of ``__main__``
    can. Standard output and error are the caller's. The child leads a process
    group of its own: Ctrl-C reaches the caller alone, and killing the group also
    kills what a stage has started.

    Args:
        import_path: Folders the child looks for modules in before the caller's `sys.path`.
        on_log: Called with what stages log, as it comes.
    """

    def __init__(self, import_path: Sequence[str] = (), on_log: OnLog | None = None) -> None:
        self._on_log = on_log
        self._import_path = tuple(import_path)
        self._modules = beside_of(import_path)
        self._child: _Child | None = None
        self._closed = False
        self._lock = threading.Lock()
        self.begun = 0.0

    def run_all(
        self, calls: Sequence[Call], ended: Ended, back: Callable[[Sequence[int]], None]
    ) -> None:
        """Make several calls, and tell of each when it has ended.

        Args:
            calls: One; or several without a timeout, of one function, with the same shared values.
            ended: Called with the position of a call, its result and its error.
            back: Called with the positions of calls that have not begun: the process died before,
                or one that was before them takes long, or `drop` was called.
        """
        try:
            child = self._ready_child(calls[0])
        except (WorkflowError, InvalidRequestError) as exc:
            ended(0, None, exc)
            back(range(1, len(calls)))
            return
        left = list(range(len(calls)))
        deadline: float | None = None
        self.begun = time.monotonic()
        try:
            unsent = child.send(calls, ended)
            left = [at for at in left if at not in unsent]
            asked, waits_from = False, time.monotonic()
            while left:
                several = len(left) > 1 and not asked
                until = waits_from + _PATIENCE if several else deadline
                try:
                    kind, (at, *more), content = child.answer(until)
                except TimeoutError:
                    if not several:
                        raise
                    child.drop(left[1:])  # they wait behind one that takes long
                    asked = True
                    continue
                if kind == LOGS:
                    self._take_lines(content)
                    continue
                waits_from = time.monotonic()
                if kind == BEGUN:
                    timeout = calls[at].timeout
                    deadline = None if timeout is None else time.monotonic() + timeout
                    continue
                left = [one for one in left if one not in (at, *more)]
                if kind == DROPPED:
                    back([at, *more])
                    continue
                with beside.within(self._modules):
                    outcome = _result(calls[at], kind, content)
                del content
                ended(at, *outcome)
                del outcome
        except TimeoutError:
            self._discard(child)
            call = calls[left[0]]
            ended(left[0], None, timed_out(call.label, call.timeout or 0, "its process was killed"))
        except (EOFError, OSError):
            # Calls are made in their order: the first that is left is the one that had begun.
            why = f"{calls[left[0]].label} did not end: its process {_how(self._discard(child))}"
            ended(left[0], None, WorkflowError(f"{why} meanwhile"))
            back(left[1:])

    def _take_lines(self, content: list[Buffer]) -> None:
        if self._on_log is not None:
            self._on_log(pickle.loads(flat(content[0])))  # noqa: S301 - from our own child

    def drop(self, positions: Sequence[int]) -> None:
        """Let the child give back calls that have not begun; from any thread."""
        child = self._child
        if child is not None:
            with contextlib.suppress(OSError):
                child.drop(positions)

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
                child.start()
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
        self._link = Link(self.pipe.fileno(), lambda: self._process.poll() is None)
        self._known: dict[str, weakref.ref[Shared]] = {}
        self._sent = 0

    def start(self) -> None:
        """Wait until it is ready.

        Raises:
            EOFError: It ended before.
        """
        if not self.ready:
            self.ready = self._link.receive()[0] == READY

    def send(self, calls: Sequence[Call], ended: Ended) -> set[int]:
        """Send calls, and before them what they have in common and the child does not have.

        Returns:
            The positions of those that cannot cross; *ended* has been called for them.

        Raises:
            OSError: The child is gone.
        """
        first, unsent = calls[0], set[int]()
        try:
            common = [one.crossing() for one in first.shared]
            timed = first.timeout is not None
            keys = [key for key, _ in common]
            # The number tells these calls from later ones, which else have the same head.
            self._sent += 1
            head = by_value.dumps((first.function, keys, timed, first.decides, self._sent))
        except Exception as exc:  # noqa: BLE001 - the pickling of a user's value is the user's code
            for at, call in enumerate(calls):
                ended(at, None, _uncrossed(call, exc))
            return set(range(len(calls)))
        self._forget()
        for one, (key, crossing) in zip(first.shared, common, strict=True):
            if key not in self._known:
                about = pickle.dumps((key, one.copied))
                rest = [[buffer] for buffer in crossing.buffers]
                self._link.send([[SHARE], [about], crossing.stream, *rest])
                self._known[key] = weakref.ref(one)
        plain: list[tuple[int, Any]] = []
        for at, call in enumerate(calls):
            if len(calls) > 1 and _is_plain(call.args):
                plain.append((at, (call.args, call.lease)))
                continue
            try:
                own = pickled((call.args, call.lease))
            except Exception as exc:  # noqa: BLE001 - likewise
                ended(at, None, _uncrossed(call, exc))
                unsent.add(at)
                continue
            self._flush(head, plain)
            number = str(at).encode()
            rest = [[buffer] for buffer in own.buffers]
            self._link.send([[ONE], [head], [number], own.stream, *rest])
        self._flush(head, plain)
        return unsent

    def _flush(self, head: bytes, plain: list[tuple[int, Any]]) -> None:
        if plain:
            self._link.send([[CALLS], [head], [pickle.dumps(plain)]])
            plain.clear()

    def _forget(self) -> None:
        """Let the child forget what no call will have in common any more."""
        over = [key for key, ref in self._known.items() if ref() is None]
        for key in over:
            del self._known[key]
        if over:
            self._link.send([[FORGET], [pickle.dumps(over)]])

    def drop(self, positions: Sequence[int]) -> None:
        """Ask for calls that have not begun."""
        self._link.send([[DROP], [pickle.dumps(list(positions))]])

    def answer(self, deadline: float | None) -> tuple[Buffer, list[int], list[Buffer]]:
        """Wait for the next message about calls: its kind, their positions, its content.

        It is about one, unless they have not begun.

        Raises:
            TimeoutError: None came by then.
            EOFError: The process is gone.
            OSError: Likewise.
        """
        kind, numbers, *content = self._link.receive(deadline)
        return kind, [int(number) for number in flat(numbers).tobytes().split(b",")], content

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


def _is_plain(args: tuple[Any, ...]) -> bool:
    """Return whether arguments are small values of Python, or tuples of such."""
    return all(type(arg) in _PLAIN or (type(arg) is tuple and _is_plain(arg)) for arg in args)


def _result(call: Call, kind: Buffer, content: list[Buffer]) -> tuple[Any, BaseException | None]:
    stream, *buffers = content
    if kind != DONE:
        failure = by_value.loads(flat(stream), buffers)
        if call.lease is not None:
            call.lease.note = failure.note
        return None, unpack(failure)
    try:
        result, note = by_value.loads(flat(stream), buffers)
        if call.lease is not None:
            call.lease.note = note
        return result, None
    except Exception as exc:  # noqa: BLE001 - the unpickling of a user's value is the user's code
        if is_own_fault(exc):
            return None, exc
        error = UnsupportedValueError(
            f"what {call.label} returned cannot be unpickled here ({type(exc).__name__}: {exc}): "
            "put it into the object_store and return its name, or use the mode 'threads'"
        )
        error.__cause__ = exc
        return None, error


def _uncrossed(call: Call, reason: Exception) -> Exception:
    if is_own_fault(reason):
        return reason
    error = UnsupportedValueError(
        f"{call.label} cannot be sent to a process: its function or an argument cannot be "
        f"pickled ({type(reason).__name__}: {reason}). Pass data through the object_store, or "
        "use the mode 'threads'"
    )
    error.__cause__ = reason
    return error


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", which is what the system does when memory runs out" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"

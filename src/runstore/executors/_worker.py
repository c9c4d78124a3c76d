"""What a worker process does until its socket ends: read calls, make them, send the outcomes.

It is started with `python -c`, not forked and not by `multiprocessing`, so it
never imports the caller's ``__main__``: a script needs no guard to use it.

Calls come one or several at a time, and each outcome leaves as soon as it is known. What calls
have in common comes once, under the digest of its pickle.
"""

import contextlib
import os
import pickle
import signal
import sys
import threading
from collections import deque
from contextvars import Context
from typing import Any, NamedTuple

from runstore import by_value
from runstore.buffers import MAP_FROM, Buffer, copied, flat, map_private
from runstore.context import Lease
from runstore.errors import UnsupportedValueError
from runstore.executors._failures import given_up, noted, pack
from runstore.executors._link import Link
from runstore.executors._logs import LogLine, Sending, sending
from runstore.executors._shared import Pickled, pickled
from runstore.faults import is_own_fault

__all__ = [
    "BEGUN",
    "CALLS",
    "DONE",
    "DROP",
    "DROPPED",
    "FAILED",
    "FORGET",
    "LOGS",
    "ONE",
    "READY",
    "SHARE",
    "serve",
]

SHARE, CALLS, ONE, DROP, FORGET = b"share", b"calls", b"one", b"drop", b"forget"
"""Messages to a worker: what calls have in common; several plain calls; one call of any kind;
the numbers of calls that are not to be made, if they have not begun; what is not needed again."""

READY, BEGUN, DONE, FAILED, DROPPED = b"ready", b"begun", b"done", b"failed", b"dropped"
"""Messages of a worker: it has started; and of a call, with its number: the function is called;
the result or failure follows; it was not made."""

LOGS = b"logs"
"""A message of a worker: lines that stages have logged."""


class _Order(NamedTuple):
    """A call as it came."""

    number: int
    head: Buffer
    """The pickle of function, keys of what it has in common, whether to say that it begins,
    whether no other begins after it has failed, and a number of what was sent together."""
    own: Any
    """Arguments and lease; as pickle and buffers if they came alone."""
    alone: bool
    refused: bool = False
    """Whether it is sent back by the thread that makes calls: the one that receives must not wait
    to send while the caller waits to send."""


class _Common:
    """What calls have in common.

    Args:
        parts: The pickle, and the buffers that it refers to.
        is_copied: Whether each call gets a copy.
    """

    def __init__(self, parts: list[Buffer], is_copied: bool) -> None:
        self._stream, *buffers = parts
        self._copied = is_copied
        self._loaded: list[Any] = []
        self._buffers = [_File(one) if is_copied and _is_large(one) else one for one in buffers]

    def value(self) -> Any:
        """Return the value: the same for every call, or a copy for this one."""
        if self._copied:
            own = [one.mapped() if isinstance(one, _File) else copied(one) for one in self._buffers]
            return by_value.loads(flat(self._stream), own)
        if not self._loaded:
            self._loaded.append(by_value.loads(flat(self._stream), self._buffers))
            self._stream, self._buffers = b"", []
        return self._loaded[0]

    def close(self) -> None:
        """Release the memory; copies that were made stay valid."""
        for one in self._buffers:
            if isinstance(one, _File):
                os.close(one.fd)


def _is_large(buffer: Buffer) -> bool:
    return flat(buffer).nbytes >= MAP_FROM and hasattr(os, "memfd_create")


class _File:
    """Bytes in a file without a name, of which a private copy costs nothing until it is changed."""

    def __init__(self, data: Buffer) -> None:
        self.fd = os.memfd_create("runstore", os.MFD_CLOEXEC)
        view = flat(data)
        self._size = view.nbytes
        while view.nbytes:
            view = view[os.write(self.fd, view[: 1 << 30]) :]

    def mapped(self) -> Buffer:
        return map_private(self.fd, self._size)


class _Worker:
    """The calls of this process and the socket over which they come."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._common: dict[str, _Common] = {}
        self._orders: deque[_Order | None] = deque()
        self._changed = threading.Condition()
        self._busy = False
        self._over = b""  # the head of calls of which one has failed: none of them begins any more

    def receive(self) -> None:
        """Take what comes, in a thread of its own."""
        while True:
            try:
                self._taken(*self._link.receive())
            except (EOFError, OSError):
                with self._changed:
                    if self._busy:
                        os.killpg(0, signal.SIGKILL)  # the process leads its own group
                    self._orders.append(None)
                    self._changed.notify()
                return

    def _taken(self, kind: Buffer, head: Buffer, *parts: Buffer) -> None:
        with self._changed:
            if kind == SHARE:
                key, is_copied = pickle.loads(head)  # noqa: S301 - from our own parent
                self._common[key] = _Common(list(parts), is_copied)
            elif kind == FORGET:
                for key in pickle.loads(head):  # noqa: S301 - likewise
                    if (found := self._common.pop(key, None)) is not None:
                        found.close()
            elif kind == DROP:
                unwanted = set(pickle.loads(head))  # noqa: S301 - likewise
                dropped = [order for order in self._orders if order and order.number in unwanted]
                for order in dropped:
                    self._orders.remove(order)
                self._send_back([order.number for order in dropped])
            elif kind == CALLS:
                (own,) = parts
                self._queue(head, pickle.loads(own), alone=False)  # noqa: S301 - likewise
            else:
                number, *alone = parts
                self._queue(head, [(int(bytes(flat(number))), alone)], alone=True)
            self._changed.notify()

    def _queue(self, head: Buffer, calls: list[tuple[int, Any]], *, alone: bool) -> None:
        """Queue calls, to be sent back if one that was sent with them has failed meanwhile."""
        refused = flat(head) == self._over
        self._orders.extend(_Order(number, head, own, alone, refused) for number, own in calls)

    def next(self) -> _Order | None:
        """Wait for a call; None if the caller is gone."""
        with self._changed:
            self._busy = False
            while not self._orders:
                self._changed.wait()
            self._busy = self._orders[0] is not None
            return self._orders.popleft()

    def give_back(self, head: Buffer) -> None:
        """Send back the calls that have not begun, also those with this head that still come."""
        with self._changed:
            self._over = flat(head).tobytes()
            left = [order.number for order in self._orders if order is not None]
            self._orders = deque(order for order in self._orders if order is None)
            self._busy = False
        self._send_back(left)

    def _send_back(self, numbers: list[int]) -> None:
        """Send back calls in one message: who gets it may be sending, and not reading yet."""
        if numbers:
            self._link.send([[DROPPED], [b",".join(str(number).encode() for number in numbers)]])

    def rest(self) -> None:
        """Note that a call was made; if no other has come, the caller may end this process."""
        with self._changed:
            self._busy = bool(self._orders)

    def tell(self, kind: bytes, number: int, content: Pickled | None = None) -> None:
        """Send a message about a call."""
        parts = [[kind], [str(number).encode()]]
        if content is not None:
            parts += [content.stream, *([buffer] for buffer in content.buffers)]  # type: ignore[list-item]
        self._link.send(parts)

    def tell_lines(self, lines: list[LogLine]) -> None:
        """Send what stages have logged; nobody is told once the caller is gone."""
        with contextlib.suppress(OSError):
            self._link.send([[LOGS], [b"0"], [pickle.dumps(lines)]])

    def outcome(self, order: _Order) -> tuple[bytes, Pickled, bool]:
        """Make a call; return what became of it, and whether no other is to begin now."""
        lease: Lease | None = None
        decides = False
        try:
            tells = True
            try:
                function, keys, tells, decides, _ = by_value.loads(order.head)
                if order.alone:
                    stream, *buffers = order.own
                    args, lease = by_value.loads(flat(stream), buffers)
                else:
                    args, lease = order.own
                common = [self._common[key].value() for key in keys]
            finally:
                if tells:  # a timeout does not count the imports of a new process
                    self.tell(BEGUN, order.number)
            if lease is not None:
                lease.told = True  # it is revoked below, or this process ends
            result = function(*common, *args)
        except BaseException as exc:  # noqa: BLE001 - a stage's own error, raised by the caller
            if lease is not None:
                lease.revoke(given_up(exc))
            return FAILED, pickled(pack(exc, lease)), decides
        try:
            return DONE, pickled((result, noted(lease))), False
        except Exception as exc:  # noqa: BLE001 - the pickling of a user's value is the user's code
            error = exc if is_own_fault(exc) else _unsendable(result, exc)
            return FAILED, pickled(pack(error, lease)), decides


def serve(fd: int) -> None:
    """Serve calls that come in over the socket *fd* until its other end is closed.

    If that happens during a call, the caller is gone: this process and what it
    started end at once.
    """
    os.set_inheritable(fd, False)  # what a stage starts must not keep the socket open
    link = Link(fd)
    worker = _Worker(link)
    threading.Thread(target=worker.receive, name="runstore worker pipe", daemon=True).start()
    link.send([[READY], [b""]])
    # Each line at once: the process may be killed.
    sink = Sending(worker.tell_lines, stays=True, console=True, batched=False)
    with sending(sink):
        _serve_calls(worker)


def _serve_calls(worker: _Worker) -> None:
    while (order := worker.next()) is not None:
        if order.refused:
            with contextlib.suppress(OSError):  # the caller is gone, as `next` says then
                worker.tell(DROPPED, order.number)
            continue
        kind, content, decides = Context().run(worker.outcome, order)
        number, head = order.number, order.head
        del order
        for stream in (sys.stdout, sys.stderr):
            # Should the process be killed later, this is not lost. The stage may have closed it.
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        worker.rest()
        try:
            worker.tell(kind, number, content)
            if decides:
                worker.give_back(head)
        except OSError:
            return  # the caller is gone, and nobody is left to tell
        del content


def _unsendable(result: object, reason: Exception) -> UnsupportedValueError:
    error = UnsupportedValueError(
        f"it returned a {type(result).__qualname__}, which cannot be pickled and so cannot leave "
        f"its process ({type(reason).__name__}: {reason}): put it into the object_store and return "
        "its name, or use the mode 'threads'"
    )
    error.__cause__ = reason
    return error

"""Telling how far an operation is, to whoever listens in the context of its caller."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, Self, TypeVar, cast

from runstore.lifetime import unique_id

__all__ = [
    "SILENT",
    "Listener",
    "Report",
    "Step",
    "Unit",
    "both",
    "counted",
    "each_told",
    "listening",
    "reporting",
]

T = TypeVar("T")

Unit = Literal["bytes", "objects", "items", "rows", "stages"]

_log = logging.getLogger("runstore.progress")


@dataclass(frozen=True, slots=True)
class Step:
    """How far an operation is.

    Attributes:
        id: The same for all steps of one operation.
        what: The operation, in words.
        done: How much is done.
        total: How much there is; None where that is not known.
        unit: Of what: ``bytes``, ``objects``, ``items``, ``rows`` or ``stages``.
        ended: Whether the operation is over, be it well or not.
    """

    id: str
    what: str
    done: int
    total: int | None
    unit: Unit
    ended: bool = False


Listener = Callable[[Step], object]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("runstore_progress", default=())


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let *listener* hear of every operation that begins in the block, from any thread.

    One that raises is logged and not called again: to show something must not end an operation.
    """
    token = _listeners.set((*_listeners.get(), _Careful(listener)))
    try:
        yield
    finally:
        _listeners.reset(token)


class _Careful:
    def __init__(self, listener: Listener) -> None:
        self._listener: Listener | None = listener

    def __call__(self, step: Step) -> None:
        if self._listener is None:
            return
        try:
            self._listener(step)
        except Exception:  # noqa: BLE001 - the caller's code; see `listening`
            self._listener = None
            _log.warning("a progress callback raised and will not be called again", exc_info=True)


class Report:
    """One operation that tells how far it is; use it as a context manager.

    It may be told from any thread. It is false if nobody listens.
    """

    def __init__(
        self, listeners: tuple[Listener, ...], what: str, total: int | None, unit: Unit
    ) -> None:
        self._listeners = listeners
        self._what, self._total, self._unit = what, total, unit
        self._done = 0
        if listeners:
            self._id, self._lock = unique_id(), threading.Lock()
            self._tell()

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, count: int = 1) -> None:
        """Report that so much more is done."""
        if self._listeners:
            with self._lock:
                self._done += count
                self._tell()

    def at(self, done: int, total: int | None = None) -> None:
        """Report how much is done, and how much there is."""
        if self._listeners:
            with self._lock:
                self._done, self._total = done, self._total if total is None else total
                self._tell()

    def end(self) -> None:
        """Report that it is over."""
        if self._listeners:
            with self._lock:
                self._tell(ended=True)
                self._listeners = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _tell(self, ended: bool = False) -> None:
        step = Step(self._id, self._what, self._done, self._total, self._unit, ended)
        for listener in self._listeners:
            listener(step)


def reporting(what: str, total: int | None = None, unit: Unit = "objects") -> Report:
    """Begin to report an operation to those who listen here; without one it costs next to nothing.

    Args:
        what: The operation, in words.
        total: How much there is, if that is known.
        unit: What is counted.
    """
    listeners = _listeners.get()
    return Report(listeners, what, total, unit) if listeners else SILENT


def each_told(items: Iterable[T], report: Report, many: int = 1000) -> Iterator[T]:
    """Yield *items*, and report their number, so many at a time."""
    if not report:
        yield from items
        return
    since = 0
    for item in items:
        yield item
        since += 1
        if since == many:
            report.add(since)
            since = 0
    report.add(since)


SILENT = Report((), "", None, "objects")
"""A report that nobody hears."""


def both(
    progress: Callable[[int, int], object] | None, report: Report
) -> Callable[[int, int], object] | None:
    """Return what tells a callback of the caller's and a report, as far as they are there."""
    if not report:
        return progress

    def told(done: int, total: int) -> None:
        report.at(done, total)
        if progress is not None:
            progress(done, total)

    return told


def counted(buffers: Iterable[T], report: Report) -> Iterator[T]:
    """Yield *buffers*, and report their bytes when they have been taken."""
    for buffer in buffers:
        size = memoryview(cast("bytes", buffer)).nbytes
        yield buffer
        report.add(size)

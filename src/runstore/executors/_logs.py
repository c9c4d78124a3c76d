"""What stages log: seen where it is logged, and sent to the process that runs the workflow.

A line is taken when its record is made, whatever handlers there are. So a stage may set up logging
for itself, and nothing changes for code that is not part of a run.
"""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from runstore.context import peek_run_context
from runstore.lifetime import ForkSafeLock
from runstore.secret_names import Secrets

__all__ = [
    "LogLevels",
    "LogLine",
    "LogSink",
    "OnLog",
    "Sending",
    "levels_here",
    "sending",
    "sink_here",
    "taking",
    "untaken",
]

_ENGINES = ("distributed", "ray", "tornado", "bokeh", "asyncio", "runstore", "dask")
_BATCH = 100  # lines that are sent at once
_LONGEST = 64 << 10  # characters of a message or of a traceback
_DELAY = 0.2  # seconds that lines wait for others


class LogLine(NamedTuple):
    """One line that a stage has logged.

    Attributes:
        uid, namespace, run: Of the run.
        stage: Its name.
        item: Its index, or None.
        attempt: From 1.
        name: Of the logger.
        level, created, message, path, line, function, thread, process: As of a `logging.LogRecord`.
        error: The traceback of an exception, or None.
        shown: Whether a handler where it was logged has shown it.
    """

    uid: str
    namespace: str
    run: str
    stage: str
    item: int | None
    attempt: int
    name: str
    level: int
    created: float
    message: str
    path: str
    line: int
    function: str | None
    thread: str | None
    process: int | None
    error: str | None
    shown: bool

    @property
    def label(self) -> str:
        """The stage; of an item with its index, as ``fit[3]``."""
        return self.stage if self.item is None else f"{self.stage}[{self.item}]"


OnLog = Callable[[list[LogLine]], None]


class LogSink(Protocol):
    """Where the lines of runs go.

    Attributes:
        sends: Whether they leave this process: then they are shown where they arrive.
        stays: Whether the levels of the loggers stay as the run has set them: the process is
            of this run.
        console: Whether what this process writes to its console is seen by the caller.
        around: Secrets that the contexts of the run do not have: those of the run around it.
    """

    sends: bool
    stays: bool
    console: bool
    around: Secrets | None

    def take(self, line: LogLine) -> None:
        """Take a line, from any thread."""
        ...

    def flush(self) -> None:
        """Send what was taken."""
        ...


class LogLevels(NamedTuple):
    """The levels of the loggers of the process that runs the workflow.

    Attributes:
        levels: Of each logger that has one of its own, by name; the root's name is empty.
        handled: Whether its root logger has handlers.
    """

    levels: tuple[tuple[str, int], ...]
    handled: bool


def levels_here() -> LogLevels:
    """Return the levels of this process's loggers, without those of engines."""
    root = logging.getLogger()
    found = [("", root.level)]
    for name, logger in list(root.manager.loggerDict.items()):
        if name.partition(".")[0] in _ENGINES or not isinstance(logger, logging.Logger):
            continue
        if logger.level != logging.NOTSET:
            found.append((name, logger.level))
    return LogLevels(tuple(found), bool(root.handlers))


class Sending:
    """A sink of a worker: sends lines in batches, soon after they were logged.

    Args:
        send: Sends some, from any thread.
        stays, console: As of `LogSink`.
        batched: Whether lines wait a moment for others; else each is sent at once.
    """

    sends = True
    around: Secrets | None = None

    def __init__(
        self,
        send: Callable[[list[LogLine]], None],
        *,
        stays: bool,
        console: bool,
        batched: bool = True,
    ) -> None:
        self.stays = stays
        self.console = console
        self._send = send
        self._batched = batched
        self._lines: list[LogLine] = []
        self._lock = threading.Lock()

    def take(self, line: LogLine) -> None:
        """See `LogSink.take`."""
        if not self._batched:
            self._send([line])
            return
        with self._lock:
            self._lines.append(line)
            count = len(self._lines)
        if count >= _BATCH:
            self.flush()
        elif count == 1:
            timer = threading.Timer(_DELAY, self.flush)
            timer.daemon = True
            timer.start()

    def flush(self) -> None:
        """See `LogSink.flush`."""
        with self._lock:
            lines, self._lines = self._lines, []
        if lines:
            self._send(lines)


class _Here(threading.local):
    sink: LogSink | None = None  # of the engine that makes calls in this thread
    busy = False  # whether a line of this thread is being taken


class _Capture:
    """Sees the log records of this process, and passes those of runs to their sinks."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._pid = os.getpid()
        self._sinks: dict[str, list[LogSink]] = {}  # by the run's uid, one for each block
        self._secrets: dict[str, Secrets] = {}  # of the runs that have logged
        self._levels: dict[str, int] = {}  # that were replaced
        self._last_resort: logging.Handler | None = None
        self._handled = False

    def begin(self, uid: str, sink: LogSink, levels: LogLevels | None) -> None:
        with self._lock.held:
            if self._pid != os.getpid():
                self._sinks, self._secrets, self._pid = {}, {}, os.getpid()
            self._sinks.setdefault(uid, []).append(sink)
            if not isinstance(logging.getLogRecordFactory(), _Factory):
                logging.setLogRecordFactory(_Factory(logging.getLogRecordFactory(), self.see))
            if sink.sends:
                self._mute(sink, levels)

    def end(self, uid: str, sink: LogSink) -> None:
        with self._lock.held:
            sinks = self._sinks.get(uid, [])
            if sink in sinks:
                sinks.remove(sink)
            if not sinks:
                self._sinks.pop(uid, None)
                self._secrets.pop(uid, None)
            if not self._sinks and not sink.stays:
                self._restore()

    def _mute(self, sink: LogSink, levels: LogLevels | None) -> None:
        """Show nothing here that is shown where it arrives, and log what is wanted there."""
        if self._last_resort is None and logging.lastResort is not None:
            self._last_resort = logging.lastResort
            logging.lastResort = _LastResort(self._last_resort)
        if levels is None:
            return
        self._handled = levels.handled
        if sink.console and levels.handled:
            for handler in logging.getLogger().handlers:
                if _is_console(handler) and _unsent not in handler.filters:
                    handler.addFilter(_unsent)
        for name, level in levels.levels:
            logger = logging.getLogger(name)
            if logger.level != level:
                self._levels.setdefault(name, logger.level)
                logger.setLevel(level)

    def _restore(self) -> None:
        factory = logging.getLogRecordFactory()
        if isinstance(factory, _Factory):  # else another stands before it, and ours does nothing
            logging.setLogRecordFactory(factory.before)
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._levels.clear()
        if self._last_resort is not None:
            logging.lastResort = self._last_resort
            self._last_resort = None

    def see(self, record: logging.LogRecord) -> None:
        """Pass on what a new record says, if it is a run's."""
        if not self._sinks or _here.busy or self._pid != os.getpid() or _is_seen(record):
            return
        _here.busy = True
        try:
            self._pass_on(record)
        except Exception:  # noqa: BLE001 - as in logging: a line must not end a stage
            if logging.raiseExceptions:
                logging.Handler().handleError(record)
        finally:
            _here.busy = False

    def _pass_on(self, record: logging.LogRecord) -> None:
        ctx = peek_run_context()
        sinks = None if ctx is None else self._sinks.get(ctx.run.uid)
        if ctx is None or not sinks or ctx.stage is None:
            return
        sink, stage, uid = sinks[-1], ctx.stage, ctx.run.uid
        secrets = self._secrets.get(uid)
        if secrets is None:
            around = () if sink.around is None else (sink.around,)
            secrets = self._secrets[uid] = Secrets(ctx.input, ctx.config, *around)
        record._runstore_sent = sink.sends
        told, error = _message(record), _error(record)
        message, shown_error = secrets.masked(told), secrets.masked(error)
        if (message, shown_error) != (told, error):
            _replace(record, message, shown_error)
        shown = sink.sends and not self._handled and logging.getLogger(record.name).hasHandlers()
        record.name = secrets.masked(record.name)
        record.threadName = secrets.masked(record.threadName) if record.threadName else None
        sink.take(
            LogLine(
                uid=uid,
                namespace=ctx.namespace,
                run=ctx.run.name,
                stage=stage.name,
                item=stage.map_index,
                attempt=stage.attempt,
                name=record.name,
                level=record.levelno,
                created=record.created,
                message=_cut(message),
                path=record.pathname,
                line=record.lineno,
                function=record.funcName,
                thread=record.threadName,
                process=record.process,
                error=_cut(shown_error) or None,
                shown=shown,
            )
        )


class _Factory:
    """Makes log records as the factory before does, and shows them to `_Capture`."""

    def __init__(
        self,
        before: Callable[..., logging.LogRecord],
        see: Callable[[logging.LogRecord], None],
    ) -> None:
        self.before = before
        self._see = see

    def __call__(self, *args: Any, **keywords: Any) -> logging.LogRecord:
        made = self.before(*args, **keywords)
        self._see(made)
        return made


_here = _Here()  # each thread's own; gone with it
_capture = _Capture()  # the logging of a process is one, too


class _LastResort(logging.Handler):
    """Shows what no handler shows, but for what is shown elsewhere."""

    def __init__(self, inner: logging.Handler) -> None:
        super().__init__(inner.level)
        self._inner = inner

    def handle(self, record: logging.LogRecord) -> bool:
        return bool(_unsent(record) and self._inner.handle(record))


def _unsent(record: logging.LogRecord) -> bool:
    """Return whether a record was not sent to another process."""
    return not getattr(record, "_runstore_sent", False)


def _is_seen(record: logging.LogRecord) -> bool:
    """Return whether another factory of ours has shown it already."""
    return hasattr(record, "_runstore_sent")


def _is_console(handler: logging.Handler) -> bool:
    stream = getattr(handler, "stream", None)
    return isinstance(handler, logging.StreamHandler) and stream in (sys.stderr, sys.stdout)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit: its handlers say so
        return str(record.msg)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _error(record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and record.exc_info[1] is not None:
        parts.append(logging.Formatter().formatException(record.exc_info))
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)


def _replace(record: logging.LogRecord, message: str, error: str) -> None:
    """Let handlers here show these texts, and not format the exception with its secrets anew."""
    record.msg, record.args = message, None
    record.exc_info, record.exc_text, record.stack_info = None, error or None, None


def sink_here() -> LogSink | None:
    """Return the sink of the engine that makes a call in this thread; None in the caller's own."""
    return _here.sink


@contextlib.contextmanager
def sending(sink: LogSink) -> Iterator[None]:
    """Let the calls that this thread makes in the block send what they log to *sink*."""
    before, _here.sink = _here.sink, sink
    try:
        yield
    finally:
        _here.sink = before
        with contextlib.suppress(Exception):  # the engine is gone: nobody is left to tell
            sink.flush()


@contextlib.contextmanager
def taking(uid: str, sink: LogSink, levels: LogLevels | None = None) -> Iterator[None]:
    """Pass what is logged in contexts of the run *uid* to *sink* in the block, from any thread."""
    _capture.begin(uid, sink, levels)
    try:
        yield
    finally:
        _capture.end(uid, sink)


@contextlib.contextmanager
def untaken() -> Iterator[None]:
    """Take no line that this thread logs in the block: it passes on those of others."""
    before, _here.busy = _here.busy, True
    try:
        yield
    finally:
        _here.busy = before

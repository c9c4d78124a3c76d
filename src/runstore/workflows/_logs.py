"""What the stages of a run log: shown by the caller's logging, and kept beside the run's record."""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from runstore.context import WorkflowRun
from runstore.errors import RunStoreError
from runstore.executors import LogLine, taking, untaken
from runstore.keys import log_key

if TYPE_CHECKING:
    from runstore.store import ObjectStore
from runstore.secret_names import Secrets

__all__ = ["RunLogs"]

_log = logging.getLogger("runstore.workflow")

_MOST = 4 << 20  # characters of a stage's first lines, and of its last, that are kept
_SHARE = 20  # of the time while stages log, writing the copies takes one in so many parts


class _Copy:
    """The lines of one stage as text: all, or the first and the last of very many."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque()
        self._sizes = [0, 0]
        self._left_out = 0
        self.changed = False

    def add(self, line: str) -> None:
        self.changed = True
        if self._sizes[0] + len(line) <= _MOST and not self._last:
            self._first.append(line)
            self._sizes[0] += len(line)
            return
        self._last.append(line)
        self._sizes[1] += len(line)
        while self._sizes[1] > _MOST and len(self._last) > 1:
            self._sizes[1] -= len(self._last.popleft())
            self._left_out += 1

    def text(self) -> str:
        left_out = [f"… {self._left_out:,} lines are left out …\n"] if self._left_out else []
        return "".join([*self._first, *left_out, *self._last])


class RunLogs:
    """Shows and keeps what the stages of one run log.

    Args:
        run: The run.
        objects: Its store.
        every: Seconds between two writes of the copies while stages run; None if they are only
            written when a stage has ended.
        around: The secrets of the run whose stage has started this one; its own are masked
            where a line is logged.
    """

    sends = False
    stays = False
    console = False

    def __init__(
        self,
        run: WorkflowRun,
        objects: "ObjectStore",
        every: float | None = None,
        around: Secrets | None = None,
    ) -> None:
        self.wake: Callable[[], None] = lambda: None
        """Called from any thread when `deliver` has something to do."""
        self._run = run
        self._objects = objects
        self.around = around
        self._came: SimpleQueue[list[LogLine]] = SimpleQueue()
        self._copies: dict[str, _Copy] = {}
        self._lock = threading.Lock()
        self._every = every
        self._written = time.monotonic(), 0.0  # when that was last, and how long it took
        self.due: float | None = None
        """When the copies have to be written, by `time.monotonic`; None if no line has come."""

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Keep what stages log in this process, in the block."""
        with taking(self._run.uid, self):
            yield

    def take(self, line: LogLine) -> None:
        """Keep a line that was logged in this process, from any thread."""
        with self._lock:
            self._copies.setdefault(line.stage, _Copy()).add(_as_text(line))
            first = self.due is None and self._every is not None
            if self._every is not None and first:
                at, took = self._written
                self.due = max(time.monotonic(), at + max(self._every, _SHARE * took))
        if first:
            self.wake()

    def _masked(self, line: LogLine) -> LogLine:
        """Return a line of another process, where the secrets of the run around are not known."""
        if self.around is None:
            return line
        mask = self.around.masked
        error = None if line.error is None else mask(line.error)
        thread = None if line.thread is None else mask(line.thread)
        return line._replace(
            name=mask(line.name), message=mask(line.message), error=error, thread=thread
        )

    def flush(self) -> None:
        """Nothing waits to be sent."""

    def come(self, lines: list[LogLine]) -> None:
        """Take lines of other processes, from any thread."""
        self._came.put(lines)
        self.wake()

    def deliver(self) -> None:
        """Pass the lines that have come to this process's logging, and keep them."""
        while not self._came.empty():
            for line in map(self._masked, self._came.get()):
                logger = logging.getLogger(line.name)
                if line.uid == self._run.uid and logger.isEnabledFor(line.level):
                    self.take(line)
                    if not line.shown or logger.hasHandlers():
                        logger.handle(_record_of(line))

    def key(self, stage: str) -> str | None:
        """Return where the copy of what a stage has logged is; None if it has logged nothing."""
        logged = stage in self._copies
        return log_key(self._run.namespace, self._run.name, stage) if logged else None

    def save_due(self) -> bool:
        """Write the copies if it is time; return whether any was written.

        So others can read them while a stage is running. It costs a request for each stage that has
        logged since, and not one for each line.
        """
        if self.due is None or time.monotonic() < self.due:
            return False
        begun = time.monotonic()
        self.due = None  # first: a line that comes meanwhile is one for the next time
        written = self.save()
        with self._lock:
            self._written = at, took = time.monotonic(), time.monotonic() - begun
            failed = any(copy.changed for copy in self._copies.values())
            if self.due is None and failed and self._every is not None:
                self.due = at + max(self._every, _SHARE * took)
        return written > 0

    def save(self, stage: str | None = None) -> int:
        """Write the copies of one stage, or of all, that have changed; return how many.

        A copy that cannot be written costs a warning, and is written the next time.
        """
        written = 0
        for name in list(self._copies) if stage is None else [stage]:
            with self._lock:
                copy = self._copies.get(name)
                text = copy.text() if copy is not None and copy.changed else None
                if copy is not None:
                    copy.changed = False
            if copy is None or text is None:
                continue
            if self._write(name, text):
                written += 1
            else:
                with self._lock:
                    copy.changed = True
        return written

    def _write(self, stage: str, text: str) -> bool:
        """Write a copy; return whether that went well."""
        from runstore.runs import write_log  # not at the top: workers do not need it

        run = self._run
        try:
            write_log(self._objects.backend, run.namespace, run.name, stage, text)
        except RunStoreError as exc:
            _log.warning(
                "run %s/%s stage %s: the copy of its logs could not be written: %s",
                *(run.namespace, run.name, stage, exc),
            )
            return False
        return True


def _as_text(line: LogLine) -> str:
    at = datetime.fromtimestamp(line.created, UTC).isoformat(timespec="milliseconds")
    attempt = f" attempt {line.attempt}" if line.attempt > 1 else ""
    level = logging.getLevelName(line.level)
    text = f"{at[:-6]}Z {level:<7} {line.name} {line.label}{attempt}: {line.message}\n"
    return text if line.error is None else f"{text}{line.error}\n"


def _record_of(line: LogLine) -> logging.LogRecord:
    """Return the record of a line of another process, with the fields of `RunLogFilter`."""
    path = Path(line.path)
    with untaken():
        record = logging.makeLogRecord(
            {
                "name": line.name,
                "levelno": line.level,
                "levelname": logging.getLevelName(line.level),
                "msg": line.message,
                "args": None,
                "created": line.created,
                "msecs": int(line.created % 1 * 1000),
                "pathname": line.path,
                "filename": path.name,
                "module": path.stem,
                "lineno": line.line,
                "funcName": line.function,
                "threadName": line.thread,
                "process": line.process,
                "exc_text": line.error,
            }
        )
    fields = {"namespace": line.namespace, "run": line.run, "stage": line.label}
    record.__dict__.update(fields, run_uid=line.uid)
    return record

"""Faults that a test lets happen: requests that fail, and answers that are lost."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

from runstore.arguments import check_choice, check_text, unfit
from runstore.errors import (
    BackendUnavailableError,
    IndeterminateWriteError,
    RunStoreError,
    StorageError,
)
from runstore.pytest_plugin._requests import KINDS

__all__ = ["Faults"]

Error = type[Exception] | Exception


@dataclass
class _Fault:
    kind: str
    pattern: str
    error: Error
    times: int | None
    after: int
    lands: bool
    happened: int = 0

    def told(self) -> str:
        return f"{'lose' if self.lands else 'fail'}({self.kind!r}, {self.pattern!r})"


class Faults:
    """What goes wrong with the requests of a test.

    A fault that never happens fails the test at its end: what the test was to show was not shown.
    Requests for records of runs do not fail.
    """

    def __init__(self) -> None:
        self._faults: list[_Fault] = []
        self._down = False
        self._lock = threading.Lock()

    def fail(
        self,
        kind: str,
        name: str = "*",
        *,
        error: Error = StorageError,
        times: int | None = 1,
        after: int = 0,
    ) -> None:
        """Let requests fail; nothing is written or read by them.

        Args:
            kind: ``put``, ``get``, ``head``, ``list``, ``copy`` or ``delete``.
            name: Of the object; ``*`` and ``?`` match as in a shell.
            error: What is raised: an exception, or its class.
            times: How many requests fail; None for all from then on.
            after: How many go well before.

        Raises:
            InvalidRequestError: An argument is not what it must be.
        """
        self._add("faults.fail", kind, name, error, times, after, lands=False)

    def lose(self, kind: str = "put", name: str = "*", *, after: int = 0) -> None:
        """Let one request be carried out and its answer be lost.

        The caller gets `runstore.errors.IndeterminateWriteError`, and may not know what happened.

        Args:
            kind: ``put``, ``copy`` or ``delete``.
            name, after: As for `fail`.
        """
        check_choice("faults.lose", "kind", kind, ("put", "copy", "delete"))
        self._add("faults.lose", kind, name, IndeterminateWriteError, 1, after, lands=True)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Let every request for an object fail with `BackendUnavailableError` in the block."""
        self._down = True
        try:
            yield
        finally:
            self._down = False

    def left(self) -> list[str]:
        """Return the faults that have not happened so often as they should."""
        return [
            one.told()
            for one in self._faults
            if one.happened < (1 if one.times is None else one.times)
        ]

    def _add(
        self,
        call: str,
        kind: str,
        name: str,
        error: Error,
        times: int | None,
        after: int,
        lands: bool,
    ) -> None:
        check_choice(call, "kind", kind, KINDS)
        check_text(call, "name", name)
        is_error = isinstance(error, Exception) or (
            isinstance(error, type) and issubclass(error, Exception)
        )
        if not is_error:
            raise unfit(call, "error", "an exception or its class", error)
        for argument, count, least in (("times", times, 1), ("after", after, 0)):
            if (count is None and argument == "times") or (type(count) is int and count >= least):
                continue
            raise unfit(call, argument, f"a whole number from {least}", count)
        self._faults.append(_Fault(kind, name, error, times, after, lands))

    def around(self, kind: str, names: list[str], ref: str) -> Callable[[], None]:
        """Raise what is to go wrong with a request before it is made.

        Returns:
            What is called when it has been carried out, and may raise then.
        """
        if self._down:
            raise BackendUnavailableError(
                f"cannot {kind} {ref}: a fault that the test has set", ref
            )
        with self._lock:
            fault = self._next(kind, names)
        if fault is None:
            return lambda: None
        if not fault.lands:
            raise _raised(fault, ref)

        def lost() -> None:
            raise _raised(fault, ref)

        return lost

    def _next(self, kind: str, names: list[str]) -> _Fault | None:
        for fault in self._faults:
            if fault.kind != kind or not any(fnmatchcase(one, fault.pattern) for one in names):
                continue
            if fault.times is not None and fault.happened >= fault.times:
                continue
            if fault.after:
                fault.after -= 1
                continue
            fault.happened += 1
            return fault
        return None


def _raised(fault: _Fault, ref: str) -> Exception:
    if isinstance(fault.error, Exception):
        return fault.error
    done = "the answer was lost" if fault.lands else f"cannot {fault.kind} it"
    message = f"{ref}: {done}: a fault that the test has set"
    if issubclass(fault.error, RunStoreError):
        return fault.error(message, ref)
    return fault.error(message)

"""What is under way on a cluster: calls, tasks of several calls, and results that stay there."""

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any

from runstore import beside
from runstore.context import Note
from runstore.executors._base import Call
from runstore.executors._shared import Shared

__all__ = ["Bundle", "Pending", "RemoteResult"]


class RemoteResult:
    """A result that the engine keeps as long as this object lives.

    Args:
        ref: The engine's handle of it.
        made: Makes the handle when it is first needed, of one of several results.
    """

    __slots__ = ("_made", "_ref")

    def __init__(self, ref: Any, made: Callable[[], Any] | None = None) -> None:
        self._ref = ref
        self._made = made

    @property
    def ref(self) -> Any:
        """The engine's handle."""
        if self._made is not None:
            self._ref, self._made = self._made(), None
        return self._ref


class Bundle:
    """Several calls that the engine has as one task."""

    def __init__(self, pending: "list[Pending]", kind: tuple[Shared, ...]) -> None:
        self.pending = pending
        self.kind = kind
        self.ref: Any = None


class Pending(Future[Any]):
    """The future of a call that the engine has; to cancel it cancels the engine's task."""

    def __init__(
        self,
        call: Call,
        number: int,
        revoke: Callable[["Pending"], None],
        modules: beside.Modules | None = None,
    ) -> None:
        super().__init__()
        self.modules = modules  # where its error's class is looked for
        self.call = call
        self.number = number
        self.ref: Any = None
        self.bundle: Bundle | None = None
        self.alone = False  # whether it must not go with others
        self.kept_alone = False  # whether it was sent by itself
        self._revoke = revoke

    def cancel(self) -> bool:
        """Cancel the call, whether it has begun or not."""
        done = self.done()
        cancelled = super().cancel()
        if cancelled and not done:
            self._revoke(self)
        return cancelled

    def noted(self, note: Note | None) -> None:
        """Keep what the call has read and written."""
        if self.call.lease is not None:
            self.call.lease.note = note

    def succeed(self) -> None:
        """End with the result, which stays where it is."""
        self.end(RemoteResult(self.ref))
        self.ref = None

    def end(self, result: Any) -> None:
        """End with *result*."""
        self.bundle = None
        with contextlib.suppress(InvalidStateError):  # cancelled meanwhile
            self.set_result(result)

    def fail(self, error: BaseException) -> None:
        """End with *error*."""
        self.bundle = None
        with contextlib.suppress(InvalidStateError):  # cancelled, or failed for its timeout
            self.set_exception(error)
        self.ref = None

"""The variable behind the current run: a tuple of the entered contexts, outermost first.

It is a tuple, so a task that copied it keeps its own. To leave a context removes its entry,
wherever that is by then, and does not reset the variable to an older value. So contexts that
are left in another order (generators closed late, tasks ended by another) neither fail nor
bring back a run that is over.
"""

import dis
import inspect
import sys
import threading
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import Any

from runstore.context._models import WorkflowRunContext
from runstore.lifetime import ForkSafeLock, forget_at_fork

__all__ = [
    "Entry",
    "Inside",
    "Outside",
    "current_entry",
    "enter",
    "entered_runs",
    "leave",
    "leave_last",
]


class Entry:
    """A context that was entered; entered twice, it has two entries.

    Args:
        ctx: The context.
        owner: The object in whose ``with`` it was entered, which may be entered by several
            threads, tasks and generators at once.
        frame: The code that has the ``with``.
    """

    __slots__ = ("at", "ctx", "generator", "memo", "owner", "place")

    def __init__(
        self, ctx: WorkflowRunContext, owner: object = None, frame: FrameType | None = None
    ) -> None:
        self.ctx = ctx
        self.memo: Any = None
        """A cache of `runstore.object_store`: what its verbs work on."""
        self.owner = owner
        self.at = id(frame)
        self.generator = frame if frame is not None and _is_iterated(frame) else None
        self.place = _place() if self.generator is not None else None

    def own(self) -> WorkflowRunContext:
        """Return the context with input and config that are its own, the same at every call."""
        if self.ctx.lent:
            with _owning.held:
                if self.ctx.lent:
                    self.ctx = self.ctx.owned()
        return self.ctx

    @property
    def hidden(self) -> bool:
        """Whether its generator is suspended, and the code here is that of its caller.

        It is not hidden from threads and tasks that were started by the generator.
        """
        return (
            self.generator is not None and self.generator.f_back is None and self.place == _place()
        )


_owning = ForkSafeLock()
_entries: ContextVar[tuple[Entry, ...]] = ContextVar("runstore_run_context", default=())


class _Entered:
    """The runs that a forked process is in: none, like any other process.

    Else it would go on in the run of the moment of the fork, and a reused pool worker in one that
    is long over.
    """

    def __init__(self) -> None:
        forget_at_fork(self)

    def forget(self) -> None:
        _entries.set(())


_entered = _Entered()


def current_entry() -> Entry | None:
    """Return the innermost entry, or None outside a run."""
    entries = _entries.get()
    if not entries:
        return None
    if (last := entries[-1]).generator is None:
        return last
    return next((entry for entry in reversed(entries) if not entry.hidden), None)


def entered_runs() -> frozenset[tuple[str, str]]:
    """Return namespace and name of every run that this code is in, the outer ones included."""
    return frozenset((entry.ctx.namespace, entry.ctx.run.name) for entry in _entries.get())


def enter(entry: Entry) -> Entry:
    """Enter; return *entry*."""
    _entries.set((*_entries.get(), entry))
    return entry


def leave(entry: Entry) -> None:
    """Remove *entry*, if it is there."""
    _entries.set(tuple(other for other in _entries.get() if other is not entry))


def leave_last(owner: object, frame: FrameType) -> None:
    """Remove the last entry of *owner* that *frame* has made, or else the last of *owner*."""
    ours = [entry for entry in _entries.get() if entry.owner is owner]
    here = [entry for entry in ours if entry.at == id(frame)] or ours
    if here:
        leave(here[-1])


class Inside:
    """Enters a context for code that runs in one step or in several.

    A context that the code enters and does not leave is there again in its next step, and
    not for its caller.

    Args:
        ctx: The context.
    """

    __slots__ = ("_before", "_during", "_own")

    def __init__(self, ctx: WorkflowRunContext) -> None:
        self._own: tuple[Entry, ...] = (Entry(ctx),)

    def __enter__(self) -> None:
        self._before = _entries.get()
        self._during = (*self._before, *self._own)
        _entries.set(self._during)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        before, now = self._before, _entries.get()
        if now is not self._during:
            self._own = tuple(entry for entry in now if entry not in before)
            before = tuple(entry for entry in before if entry in now)
        _entries.set(before)
        self._before = self._during = ()


class Outside:
    """Leaves all contexts, for code that must run in none."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _entries.get()
        _entries.set(())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _entries.set(self._before)


def _is_iterated(frame: FrameType) -> bool:
    """Return whether *frame* is a generator whose caller is in a ``for`` statement over it.

    Between the items the caller runs code of its own. A caller that uses ``next``, as
    `contextlib` and the fixtures of pytest do, is to be in the generator's context.
    """
    if not frame.f_code.co_flags & inspect.CO_GENERATOR:
        return False
    caller = frame.f_back
    while caller is not None and _instruction(caller) == "SEND":  # ``yield from``
        caller = caller.f_back
    return caller is not None and _instruction(caller) == "FOR_ITER"


def _instruction(frame: FrameType) -> str:
    code, at = frame.f_code.co_code, frame.f_lasti
    while dis.opname[code[at]] == "CACHE" and at > 0:  # stands behind its instruction
        at -= 2
    return dis.opname[code[at]]


def _place() -> tuple[int, Any]:
    """Return which thread and task this is."""
    asyncio = sys.modules.get("asyncio")
    task = None
    if asyncio is not None and asyncio._get_running_loop() is not None:
        task = asyncio.current_task()
    return threading.get_ident(), None if task is None else id(task)

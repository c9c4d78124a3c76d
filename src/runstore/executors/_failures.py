"""How a stage's error travels: with its traceback, also from another process."""

import traceback
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from runstore import beside, by_value
from runstore.context import Lease, Note
from runstore.errors import StageTimeoutError

__all__ = [
    "Failure",
    "given_up",
    "kinds_of",
    "noted",
    "pack",
    "timed_out",
    "traceback_text",
    "unpack",
]

_HERE = str(Path(__file__).parents[1])
_SUITES = str(Path(__file__).parents[1] / "testing")


class RemoteTraceback(Exception):  # noqa: N818 - the name is what a traceback shows
    """The traceback of an error in the process in which it was raised, as text."""

    def __init__(self, text: str, kinds: tuple[str, ...] = ()) -> None:
        super().__init__(text, kinds)
        self.text = text
        self.kinds = kinds

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class Failure(NamedTuple):
    """An error on its way between processes."""

    pickled: bytes | None
    """The exception itself, or None if it cannot be pickled."""
    reason: str
    """Type and message, for when it cannot be rebuilt either."""
    text: str
    """The traceback."""
    kinds: tuple[str, ...] = ()
    """The names of its class and of those that it is derived from."""
    note: Note | None = None
    """What the call has read and written."""


def kinds_of(error: BaseException) -> tuple[str, ...]:
    """Return the class of an error and those it is derived from, as ``module:name``.

    Of an error of another process they are those that it had there, also if a stand-in came.
    """
    if isinstance(error.__cause__, RemoteTraceback) and error.__cause__.kinds:
        return error.__cause__.kinds
    return tuple(f"{kind.__module__}:{kind.__qualname__}" for kind in type(error).__mro__)


def traceback_text(error: BaseException) -> str:
    """Return the traceback of a failed call as text, from the stage's own code inwards.

    For an error of another process it is the traceback of that process.
    """
    if isinstance(error.__cause__, RemoteTraceback):
        return error.__cause__.text
    own = _from_the_stage(error.__traceback__)
    return "".join(traceback.format_exception(type(error), error, own))


def _from_the_stage(found: TracebackType | None) -> TracebackType | None:
    """Skip the frames of runstore that lead to the stage's code, unless there are no others."""
    inner = found
    while inner is not None:
        file = inner.tb_frame.f_code.co_filename
        if not file.startswith(_HERE) or file.startswith(_SUITES):
            return inner
        inner = inner.tb_next
    return found


def pack(error: BaseException, lease: Lease | None = None) -> Failure:
    """Return *error* as something that can be sent to another process; never fails.

    Args:
        error: What was raised.
        lease: Of the call, which has noted what it read and wrote.
    """
    reason = "".join(traceback.format_exception_only(error)).strip()
    text = traceback_text(error)
    try:
        pickled: bytes | None = by_value.dumps(error)
    except Exception:  # noqa: BLE001 - the pickling of a user's exception is the user's code
        pickled = None
    return Failure(pickled, reason, text, kinds_of(error), noted(lease))


def noted(lease: Lease | None) -> Note | None:
    """Return what the call of a lease has read and written, as far as it is known here."""
    return None if lease is None else lease.noted()


def unpack(failure: Failure, modules: beside.Modules | None = None) -> BaseException:
    """Rebuild an error with its remote traceback, or a RuntimeError that stands in for it.

    Args:
        failure: What `pack` made of it.
        modules: The modules beside the workflow, in which its class is looked for first.
    """
    if modules is not None:
        with beside.within(modules):
            return unpack(failure)
    error: object = None
    if failure.pickled is not None:
        try:
            error = by_value.loads(failure.pickled)
        except Exception:  # noqa: BLE001 - the unpickling of a user's exception is the user's code
            error = None
    if not isinstance(error, BaseException):
        error = RuntimeError(f"{failure.reason} (a stand-in: the error itself cannot be pickled)")
    error.__cause__ = RemoteTraceback(failure.text, failure.kinds)
    return error


def given_up(error: BaseException) -> str:
    """Return why a call that ended with *error* can no longer write."""
    how = "took longer than its timeout" if isinstance(error, StageTimeoutError) else "failed"
    return f"it {how} and was given up"


def timed_out(label: str, timeout: float, aftermath: str) -> StageTimeoutError:
    """Return the error for a call that took longer than its timeout."""
    return StageTimeoutError(
        f"{label} took longer than its timeout of {timeout:g} s; {aftermath}. "
        "Raise `timeout` if it needs more"
    )

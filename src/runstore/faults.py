"""Whether an exception is a fault of runstore's own code, which must not be told as another's."""

from types import TracebackType

__all__ = ["is_own_fault"]


def is_own_fault(exc: BaseException) -> bool:
    """Return whether runstore's own code is at fault: not a library, the user's code or a place.

    Code that catches every exception of foreign code calls this first, and re-raises such an
    exception unchanged. That is a failed assertion, a missing name, or an attribute of None, raised
    in a line of runstore itself.
    """
    of_code = isinstance(exc, (AssertionError, NameError))
    if not of_code and not (isinstance(exc, AttributeError) and exc.obj is None):
        return False
    last: TracebackType | None = exc.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return False
    module = str(last.tb_frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] == "runstore"

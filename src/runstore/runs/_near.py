"""Which runs may be meant by a name that no run has, for the end of a message."""

from difflib import get_close_matches
from itertools import islice

from runstore.errors import RunStoreError
from runstore.keys import record_key, scope_folder, scope_of
from runstore.places import Backend, glimpse

__all__ = ["near_runs", "near_workflows", "no_namespace"]

_SEEN_AT_MOST = 1000  # names that are compared
_READ_AT_MOST = 100  # records
_SHOWN = 3


def near_runs(backend: Backend, namespace: str, name: str) -> str:
    """Return what is there instead of a record of a run, as the end of a message.

    It costs a look at some folders, so it is called when a message is shown to a person. It raises
    nothing: the message says enough without. Nothing is said of a run that has a record.
    """
    try:
        if glimpse(backend, scope_folder(namespace, name), 1):
            return (
                "; it has objects and no record, as a run of run_context: recorded_run writes one"
            )
        folder = record_key(namespace, "")
        # The names that begin alike come first: there may be more than are looked at.
        start = record_key(namespace, name[: max(1, len(name) // 2)]).removesuffix(".json")
        names = _names(backend, start, folder) or _names(backend, folder, folder)
        if names:
            return _meant(name, names)
    except RunStoreError:
        return ""
    return no_namespace(backend, namespace) or "; no run there has a record"


def near_workflows(backend: Backend, namespace: str, workflow: str) -> str:
    """Return which workflows have runs instead of one that has not finished any, for a message.

    It reads some of the newest records, so it is called when a message is shown. It raises nothing.
    """
    from runstore.runs._pages import newest_first

    try:
        found = {run.workflow for run in islice(newest_first(backend, namespace), _READ_AT_MOST)}
    except RunStoreError:
        return ""
    if workflow in found:
        return "; none of its runs has finished"
    if close := get_close_matches(workflow, sorted(found), n=_SHOWN):
        return f"; did you mean {' or '.join(map(repr, close))}?"
    if found:
        shown = ", ".join(map(repr, sorted(found)[:_SHOWN])) + (
            ", …" if len(found) > _SHOWN else ""
        )
        return f"; workflows with runs there: {shown}"
    return no_namespace(backend, namespace)


def no_namespace(backend: Backend, namespace: str) -> str:
    """Return that a namespace is not there, as the end of a message; empty if it is.

    It is empty also if the store holds nothing, or if the place does not say.
    """
    try:
        spaces = sorted(filter(None, (scope_of(one.rstrip("/")) for one in backend.folders(""))))
    except RunStoreError:
        return ""
    if not spaces or namespace in spaces:
        return ""
    if close := get_close_matches(namespace, spaces, n=_SHOWN):
        hint = f"did you mean {' or '.join(map(repr, close))}?"
    else:
        shown = ", ".join(map(repr, spaces[:_SHOWN])) + (", …" if len(spaces) > _SHOWN else "")
        hint = f"there {'is' if len(spaces) == 1 else 'are'} {shown}"
    return f"; there is no namespace {namespace!r}: {hint}"


def _names(backend: Backend, start: str, folder: str) -> list[str]:
    """Return the names of some runs whose records' keys begin so, sorted."""
    if start == folder:
        keys = glimpse(backend, folder, _SEEN_AT_MOST)
    else:
        keys = []
        for entry in backend.list(start):
            keys.append(entry.key)
            if len(keys) == _SEEN_AT_MOST:
                break
    found = (scope_of(key[len(folder) :].removesuffix(".json")) for key in keys)
    return sorted(filter(None, found))


def _meant(name: str, names: list[str]) -> str:
    if name in names:
        return ""  # it has a record, and nothing else
    begin = [one for one in names if one.startswith(name)]
    close = begin[:_SHOWN] or get_close_matches(name, names, n=_SHOWN)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    shown = ", ".join(map(repr, names[-_SHOWN:]))  # names have the time of their start in them
    return f"; runs there: {shown}" + (", …" if len(names) > _SHOWN else "")

"""The error for an object that is not there: when it is shown, it says what may be meant."""

from functools import partial

from runstore.errors import ObjectNotFoundError, RunStoreError
from runstore.keys import Place, name_of, parts_folder, scope_folder
from runstore.lifetime import load_module
from runstore.objects._objects import StoredObjects
from runstore.places import glimpse

__all__ = ["missing"]

_SEEN_AT_MOST = 1000  # names of a scope that are compared with the one that is missing


def missing(objects: StoredObjects, place: Place, *, alone: bool = True) -> ObjectNotFoundError:
    """Return the error for an object that is not there.

    When it is shown, it says what is there and what may be meant, as far as a short look tells.

    Args:
        objects: The store's objects.
        place: What was asked for.
        alone: Whether it is the only one. Of many, nothing is looked up for the message.
    """
    where = f"run {place.run!r} of namespace" if place.run else "namespace"
    message = f"no object {place.name!r} in {where} {place.namespace!r} ({objects.backend.url})"
    error = ObjectNotFoundError(message, str(place))
    if alone and objects.backend.guarantees.mapped:  # where a look needs no request
        error.look = partial(_looked_up, objects, place)
    return error


def _looked_up(objects: StoredObjects, place: Place) -> str:
    """Return what is there instead, as the end of a message."""
    try:
        scope = scope_folder(place.namespace, place.run)
        keys = glimpse(objects.backend, scope, _SEEN_AT_MOST)
        there = sorted(filter(None, (name_of(key[len(scope) :]) for key in keys)))
        if objects.exists(place):
            return "; it was stored just now, after it was looked for: try again"
        if glimpse(objects.backend, parts_folder(place), 1):
            return "; there are parts of it that were not sealed: seal(name) makes them one object"
        if close := load_module("difflib").get_close_matches(place.name, there, n=3):
            return f"; did you mean {' or '.join(map(repr, close))}?"
        if place.run and objects.exists(Place(place.namespace, None, place.name)):
            return "; there is one with scope='namespace'"
    except RunStoreError:
        return ""  # it says enough without
    if not keys:
        runs, nothing = load_module("runstore.runs"), "; nothing is stored there at all"
        if absent := runs.no_namespace(objects.backend, place.namespace):
            return str(absent)
        if place.run is None:
            return nothing
        return f"{nothing}{runs.near_runs(objects.backend, place.namespace, place.run)}"
    if not there:
        return ""  # names that are too long for a key, or files of other programs
    shown = ", ".join(map(repr, there[:5])) + (", …" if len(there) > 5 else "")
    return f"; stored there: {shown}"

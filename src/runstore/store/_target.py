"""What a verb works on: a place in a store, and what is said if nothing is there."""

from difflib import get_close_matches
from typing import NamedTuple

from runstore.errors import InvalidRequestError, ObjectNotFoundError
from runstore.keys import Place, Scope
from runstore.store._objects import Objects

__all__ = ["RAISE", "Target", "missing", "place_of", "run_of"]


class Target(NamedTuple):
    """What the verbs of one object work on.

    Attributes:
        objects: The store's objects.
        namespace: The scope's namespace.
        run: The scope's run; None if there is none, then only the namespace scope works.
        workflow, stage: Who is putting, where known.
    """

    objects: Objects
    namespace: str
    run: str | None
    workflow: str | None = None
    stage: str | None = None


class _RaiseType:
    def __repr__(self) -> str:
        return "<raise ObjectNotFoundError>"


RAISE = _RaiseType()
"""The default of `get` that is none: a missing object raises."""


def place_of(
    target: Target, name: str, scope: Scope, run: str | None, namespace: str | None
) -> Place:
    if scope == "namespace":
        if run is not None:
            raise InvalidRequestError(
                f"{name!r}: scope='namespace' is shared by all runs, so run={run!r} has no meaning "
                "there",
                name,
            )
        return Place(namespace or target.namespace, None, name)
    if scope != "run":
        raise InvalidRequestError(f"scope must be 'run' or 'namespace', not {scope!r}", name)
    if namespace is not None and namespace != target.namespace and run is None:
        raise InvalidRequestError(
            f"{name!r}: to read from a run of another namespace ({namespace!r}) give run=, too; "
            "for what its runs share give scope='namespace'",
            name,
        )
    return Place(namespace or target.namespace, run_of(run or target.run, name), name)


def run_of(run: str | None, name: str) -> str:
    if run is None:
        raise InvalidRequestError(
            f"{name!r}: this view has no run; make it with .at(namespace=…, run=…), or use "
            "scope='namespace'",
            name,
        )
    return run


def missing(objects: Objects, place: Place) -> ObjectNotFoundError:
    """Say what is not there, and what is: the name that was perhaps meant."""
    where = f"run {place.run!r} of namespace" if place.run else "namespace"
    message = f"no object {place.name!r} in {where} {place.namespace!r} ({objects.backend.url})"
    if objects.backend.mapped:  # a look around costs nothing there
        there = [info.name for info in objects.list(place.namespace, place.run)]
        if close := get_close_matches(place.name, there, n=3):
            message += f"; did you mean {' or '.join(map(repr, close))}?"
        elif place.run and objects.exists(Place(place.namespace, None, place.name)):
            message += "; there is one with scope='namespace'"
        elif not there:
            message += "; nothing is stored there at all"
        else:
            shown = ", ".join(map(repr, there[:5])) + (", …" if len(there) > 5 else "")
            message += f"; stored there: {shown}"
    return ObjectNotFoundError(message, str(place))

"""What a verb works on: a place in a store; and the message if nothing is there."""

from difflib import get_close_matches
from typing import NamedTuple, get_args

from runstore.arguments import check_choice, check_text, unfit
from runstore.errors import (
    InvalidNameError,
    InvalidRequestError,
    ObjectNotFoundError,
    RunStoreError,
)
from runstore.keys import Place, Scope, key_of
from runstore.store._leased import Permission, leased
from runstore.store._objects import Objects

__all__ = ["RAISE", "Target", "check_scope", "missing", "not_a_name", "place_of", "run_of"]


class Target(NamedTuple):
    """What the verbs of one object work on.

    Attributes:
        objects: The store's objects.
        namespace: The scope's namespace.
        run: The scope's run; None if there is none, then only the namespace scope works.
        workflow, stage: Who is putting, where known.
        lease: What lets this code write; None if it always may.
    """

    objects: Objects
    namespace: str
    run: str | None
    workflow: str | None = None
    stage: str | None = None
    lease: Permission | None = None

    def writable(self) -> Objects:
        """Return the objects, to be written to.

        Raises:
            StaleRunError: The run of this code has ended, or its attempt was given up.
        """
        return self.objects if self.lease is None else leased(self.objects, self.lease)


_SCOPES = get_args(Scope)


class _RaiseType:
    def __repr__(self) -> str:
        return "<raise ObjectNotFoundError>"


RAISE = _RaiseType()
"""The default of `get` that is none: a missing object raises."""


def place_of(
    call: str, target: Target, name: str, scope: Scope, run: str | None, namespace: str | None
) -> Place:
    """Return the place that the arguments of a verb name, without a look at it.

    Args:
        call: The verb, for messages.
        target: Where the verb works.
        name, scope, run, namespace: The verb's arguments.

    Raises:
        InvalidNameError: *name* is no str.
        InvalidRequestError: Another argument is of a wrong type, or they contradict each other.
    """
    if not isinstance(name, str):
        raise not_a_name(call, "name", name)
    if run is not None:
        check_text(call, "run", run, optional=True)
    if namespace is not None:
        check_text(call, "namespace", namespace, optional=True)
    given: object = scope
    if type(given) is not str or given not in _SCOPES:
        check_choice(call, "scope", scope, _SCOPES)
    if scope == "namespace":
        if run is not None:
            raise InvalidRequestError(
                f"{call}: {name!r}: scope='namespace' is shared by all runs, so run={run!r} has no "
                "meaning there",
                name,
            )
        return Place(target.namespace if namespace is None else namespace, None, name)
    if namespace is not None and namespace != target.namespace and run is None:
        raise InvalidRequestError(
            f"{call}: {name!r}: to read from a run of another namespace ({namespace!r}) give run=, "
            "too; for what its runs share give scope='namespace'",
            name,
        )
    return Place(
        target.namespace if namespace is None else namespace,
        run_of(target.run if run is None else run, name),
        name,
    )


def check_scope(
    call: str, target: Target, scope: Scope, run: str | None, namespace: str | None
) -> None:
    """Raise what `place_of` raises for every name alike, and InvalidNameError for the scope's."""
    key_of(place_of(call, target, "any", scope, run, namespace))


def not_a_name(call: str, argument: str, value: object, hint: str = "") -> RunStoreError:
    """Return the error for a name that is no text."""
    return unfit(call, argument, "a str", value, hint, InvalidNameError, by_type=True)


def run_of(run: str | None, name: str) -> str:
    """Return *run*, or raise InvalidRequestError if there is none."""
    if run is None:
        raise InvalidRequestError(
            f"{name!r}: this view has no run; make it with .at(namespace=…, run=…), or use "
            "scope='namespace'",
            name,
        )
    return run


def missing(objects: Objects, place: Place, *, alone: bool = True) -> ObjectNotFoundError:
    """Return the error for an object that is not there; it says what is, and what may be meant.

    Args:
        objects: The store's objects.
        place: What was asked for.
        alone: Whether it is the only one. Of many, nothing is looked up for the message.
    """
    where = f"run {place.run!r} of namespace" if place.run else "namespace"
    message = f"no object {place.name!r} in {where} {place.namespace!r} ({objects.backend.url})"
    if alone and objects.backend.guarantees.mapped:  # where listing needs no request
        there = [info.name for info in objects.list(place.namespace, place.run)]
        if place.name in there:
            message += "; it was stored just now, after it was looked for: try again"
        elif close := get_close_matches(place.name, there, n=3):
            message += f"; did you mean {' or '.join(map(repr, close))}?"
        elif place.run and objects.exists(Place(place.namespace, None, place.name)):
            message += "; there is one with scope='namespace'"
        elif not there:
            message += "; nothing is stored there at all"
        else:
            shown = ", ".join(map(repr, there[:5])) + (", …" if len(there) > 5 else "")
            message += f"; stored there: {shown}"
    return ObjectNotFoundError(message, str(place))

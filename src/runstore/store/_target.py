"""What a verb works on: a place in a store; and the message if nothing is there."""

from typing import Any, NamedTuple, get_args

from runstore.arguments import check_choice, check_text, unfit
from runstore.context import StoreAddress
from runstore.errors import (
    InvalidNameError,
    InvalidRequestError,
    RunStoreError,
)
from runstore.keys import Place, Scope, key_of
from runstore.lifetime import load_module
from runstore.objects import Permission, leased
from runstore.store._objects import Objects

__all__ = [
    "RAISE",
    "Target",
    "check_scope",
    "copied_to",
    "not_a_name",
    "place_of",
    "run_of",
]


class Target(NamedTuple):
    """What the verbs of one object work on.

    Attributes:
        objects: The store's objects.
        namespace: The scope's namespace.
        run: The scope's run; None if there is none, then only the namespace scope works.
        workflow, stage: Who is putting, where known.
        lease: What lets this code write; None if it always may.
        address: The store's, by which other processes find it.
    """

    objects: Objects
    namespace: str
    run: str | None
    workflow: str | None = None
    stage: str | None = None
    lease: Permission | None = None
    address: StoreAddress | None = None

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
    call: str,
    target: Target,
    name: str,
    scope: Scope,
    run: Any,
    namespace: str | None,
    workflow: str | None = None,
) -> Place:
    """Return the place that the arguments of a verb name, without a look at it.

    Args:
        call: The verb, for messages.
        target: Where the verb works.
        name, scope, run, namespace, workflow: The verb's arguments. Which run a number or a
            *workflow* means is looked up.

    Raises:
        InvalidNameError: *name* is no str.
        InvalidRequestError: Another argument is of a wrong type, or they contradict each other.
        ObjectNotFoundError: There is no such run.
    """
    if not isinstance(name, str):
        raise not_a_name(call, "name", name)
    if workflow is not None or (run is not None and not isinstance(run, str)):
        run = load_module("runstore.store._earlier").earlier_run(
            call, target, scope, run, namespace, workflow
        )
        namespace = target.namespace if namespace is None else namespace
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


def copied_to(
    target: Target,
    source: Place,
    to_name: str | None,
    to_scope: Scope | None,
    to_run: str | None,
    to_namespace: str | None,
) -> Place:
    """Return the place that a copy goes to; where nothing is said, it is the source's."""
    name = source.name if to_name is None else to_name
    if not isinstance(name, str):
        raise not_a_name("copy", "to_name", name)
    check_text("copy", "to_run", to_run, optional=True)
    check_text("copy", "to_namespace", to_namespace, optional=True)
    namespace = source.namespace if to_namespace is None else to_namespace
    scope = to_scope or ("run" if to_run is not None else source.scope)
    if scope == "namespace":
        if to_run is not None:
            raise InvalidRequestError(
                f"copy: {name!r}: to_scope='namespace' is shared by all runs, so to_run={to_run!r} "
                "has no meaning there",
                name,
            )
        return Place(namespace, None, name)
    run = next((run for run in (to_run, source.run, target.run) if run is not None), None)
    return Place(namespace, run_of(run, name), name)

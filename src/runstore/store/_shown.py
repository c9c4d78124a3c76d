"""Stores, views and listings in a notebook: `_repr_html_`, look-up by name, and completion."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from runstore.arguments import check_text
from runstore.context import WorkflowRun
from runstore.displays import Listing, instant, note, pairs, public_names, seconds, table
from runstore.errors import InvalidNameError, RunStoreError
from runstore.keys import Scope
from runstore.objects import ObjectInfo
from runstore.texts import human_size

if TYPE_CHECKING:
    from runstore.store import ObjectStore, StoreView

__all__ = ["Mapped", "ObjectList", "RunList", "ShownStore", "no_verb"]

_PATIENCE = 5.0  # seconds that a remote place is waited for, to show it
_SHOWN = 20  # objects of a view, namespaces of a store
_OFFERED = 1000  # names that completion gets


class ObjectList(Listing[ObjectInfo]):
    """Descriptions of objects; in a notebook a table."""

    titles = ("name", "type", "rows", "columns", "size", "created")

    def cells(self, item: ObjectInfo) -> list[object]:
        """Return what is known of an object; nothing is read for it."""
        part = "" if item.part is None else f" part {item.part!r}"
        kind = item.python_type or item.format
        shape = ["" if n is None else f"{n:,}" for n in (item.rows, item.columns)]
        return [item.name + part, kind, *shape, human_size(item.size), instant(item.created_at)]


class RunList(Listing[WorkflowRun]):
    """Records of runs; in a notebook a table.

    Args:
        runs: The records.
        following: What to pass as ``page=`` for those that follow; None if there are no more.
    """

    def __init__(self, runs: Iterable[WorkflowRun] = (), following: str | None = None) -> None:
        super().__init__(runs)
        self.next = following

    titles = ("namespace", "run", "workflow", "state", "started", "duration", "source")

    def cells(self, item: WorkflowRun) -> list[object]:
        """Return what its record says of a run."""
        started = instant(item.started_at)
        took = seconds(item.started_at, item.finished_at)
        return [*(item.namespace, item.name, item.workflow, item.state, started, took, item.source)]


_CALLED = {
    "add": "put",
    "load": "get",
    "read": "get",
    "remove": "delete",
    "save": "put",
    "store": "put",
    "write": "put",
}
"""What people call who know other programs, and the verb that does it here."""


def no_verb(owner: object, what: str, name: str) -> AttributeError:
    """Return the error for an attribute that is not there; it names the verb that may be meant."""
    told = f"{what} has no attribute {name!r}"
    if meant := _CALLED.get(name):
        told += f": did you mean {meant!r}?"
    return AttributeError(told, name=name, obj=owner)


class _Verbal:
    """Says which verb may be meant by an attribute that is not there."""

    if not TYPE_CHECKING:  # or mypy would take it for what has every name

        def __getattr__(self, name: str) -> Any:
            raise no_verb(self, f"{type(self).__name__!r} object", name)


class ShownStore(_Verbal):
    """What a notebook shows of a store, and what completion offers."""

    def _repr_html_(self: Any) -> str:
        return _store_html(self)

    def __dir__(self) -> list[str]:
        return public_names(self)


class Mapped(_Verbal):
    """What a view has of a mapping of names: ``view["x"]``, ``"x" in view``, ``len``, ``for``.

    That is about the objects of its run; without a run, about those that all runs share. Names
    are asked of the place at each call.
    """

    def __getitem__(self: Any, name: str) -> Any:
        """Return the value of an object, as `get` does; ObjectNotFoundError is a KeyError."""
        check_text("view[…]", "name", name, error=InvalidNameError)
        return self.get(name, scope=_scope(self))

    def __contains__(self: Any, name: object) -> bool:
        """Return whether there is an object of that name; False for what cannot be one."""
        try:
            return isinstance(name, str) and self.exists(name, scope=_scope(self))
        except InvalidNameError:
            return False

    def __iter__(self: Any) -> Iterator[str]:
        """Yield the names of the objects, sorted."""
        return (info.name for info in self.iter(scope=_scope(self)))

    def __len__(self: Any) -> int:
        """Return how many objects there are."""
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        """A view is always true, also one without objects; nothing is asked for that."""
        return True

    def _repr_html_(self: Any) -> str:
        return _view_html(self)

    def _ipython_key_completions_(self: Any) -> list[str]:
        return list(islice(self, _OFFERED))

    def __dir__(self) -> list[str]:
        return public_names(self)


def _scope(view: "StoreView") -> Scope:
    return "namespace" if view.run is None else "run"


def _impatient(store: "ObjectStore") -> "ObjectStore":
    """Return a store at the same place that waits for seconds only: a notebook must not hang."""
    address = store.address
    if store.backend.guarantees.mapped or address.timeout <= _PATIENCE:
        return store
    return type(store).from_address(address.model_copy(update={"timeout": _PATIENCE}))


def _store_html(store: "ObjectStore") -> str:
    """Return a store with its namespaces, or with the reason why they cannot be listed."""
    if store._now is None:
        return pairs({"store": store.address.url, "state": "closed"})
    described = pairs(
        {
            "store": store.address.url,
            "engine": getattr(store.backend, "engine", None),
            "promises": str(store.backend.guarantees),
            "pickle": store.address.pickle,
        }
    )
    try:
        names = _impatient(store).namespaces()
    except RunStoreError as exc:
        return described + note(str(exc))
    if not names:
        return described + note("no namespaces: nothing is stored so far")
    shown = table(["namespace"], ([name] for name in names[:_SHOWN]))
    left = len(names) - _SHOWN
    return described + shown + (note(f"… and {left:,} more") if left > 0 else "")


def _view_html(view: "StoreView") -> str:
    """Return a view with its first objects, or with the reason why they cannot be listed."""
    where = {"store": view.store.address.url, "namespace": view.namespace}
    described = pairs(where | {"run": view.run or "(shared by all runs)"})
    try:
        shown = _impatient(view.store).at(namespace=view.namespace, run=view.run)
        found = ObjectList(islice(shown.iter(scope=_scope(view)), _SHOWN + 1))
    except RunStoreError as exc:
        return described + note(str(exc))
    if not found:
        return described + note("no objects")
    more = note("… and more: list() has all") if len(found) > _SHOWN else ""
    return described + found[:_SHOWN]._repr_html_() + more

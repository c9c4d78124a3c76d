"""References: how objects, runs and namespaces are written on a command line.

    NS                  a namespace
    NS/RUN              a run                  NS/RUN/NAME       its object
    NS/_shared          what runs share        NS/_shared/NAME   an object of it

``_latest`` in the place of a run is the newest run that has a record. Neither
word can be a run's name, since those do not begin with ``_``.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from runstore.arguments import in_shell
from runstore.errors import (
    InvalidNameError,
    InvalidRequestError,
    ObjectNotFoundError,
    RunStoreError,
)
from runstore.keys import SHARED, Place, Scope, scope_folder
from runstore.names import check_namespace, check_run
from runstore.places import list_with_parts

if TYPE_CHECKING:
    from runstore.store import ObjectStore, StoreView

__all__ = [
    "LATEST",
    "Ref",
    "check_not_empty",
    "nothing_in",
    "object_place",
    "parse_ref",
    "parse_run",
    "resolved",
]

LATEST = "_latest"


@dataclass(frozen=True)
class Ref:
    """A parsed reference.

    Attributes:
        namespace: The namespace.
        run: The run, ``_latest`` or ``_shared``; None for a reference to a namespace.
        name: An object's name, or the beginning of names; empty if there is none.
    """

    namespace: str
    run: str | None = None
    name: str = ""

    @property
    def scope(self) -> Scope:
        """``namespace`` for objects that all runs share, else ``run``."""
        return "namespace" if self.run == SHARED else "run"

    @property
    def only_run(self) -> str | None:
        """The run as the store takes it: None in the namespace scope."""
        return None if self.run == SHARED else self.run

    def view(self, store: "ObjectStore") -> "StoreView":
        """Return the store's verbs on this scope."""
        return store.at(namespace=self.namespace, run=self.only_run)

    def place(self, name: str) -> Place:
        """Return the place of an object of this scope."""
        return Place(self.namespace, self.only_run, name)

    def __str__(self) -> str:
        return "/".join(filter(None, (self.namespace, self.run, self.name)))


def parse_run(text: str) -> Ref:
    """Parse a reference where only a run can stand: one word is a run of the default namespace.

    Raises:
        InvalidNameError: As for `parse_ref`.
    """
    if text and "/" not in text:
        from runstore.context import default_namespace

        text = f"{default_namespace()}/{text}"
    return parse_ref(text)


def parse_ref(text: str) -> Ref:
    """Parse a reference, without a look into the store.

    Raises:
        InvalidNameError: It is no reference, or its namespace or run cannot be one.
    """
    namespace, _, rest = text.partition("/")
    run, _, name = rest.partition("/")
    if not namespace or (not run and name):
        raise InvalidNameError(
            f"{text!r} is no reference: write NAMESPACE, NAMESPACE/RUN or NAMESPACE/RUN/NAME", text
        )
    check_namespace(namespace)
    if run and run not in (SHARED, LATEST):
        check_run(run)
    return Ref(namespace, run or None, name)


def resolved(store: "ObjectStore", ref: Ref, *, complete: bool = False) -> Ref:
    """Replace ``_latest`` by the name of the newest run.

    Args:
        store: The store.
        ref: The reference.
        complete: Whether the beginning of a run's name stands for the run, if it is the only one
            that begins so. Not where something is written or removed.

    Raises:
        ObjectNotFoundError: The namespace has no run with a record.
        InvalidRequestError: Several runs have names that begin so.
    """
    if ref.run is None or ref.run == SHARED:
        return ref
    if ref.run != LATEST:
        return Ref(ref.namespace, _completed(store, ref), ref.name) if complete else ref
    from runstore.runs import newest_runs

    runs = newest_runs(store.backend, ref.namespace, 1)
    if not runs:
        raise ObjectNotFoundError(
            f"no run with a record in namespace {ref.namespace!r} ({store.url}). A run of "
            f"run_context has none; `runstore ls {in_shell(ref.namespace)}` lists every run",
            str(ref),
        )
    return Ref(ref.namespace, runs[0].name, ref.name)


def _completed(store: "ObjectStore", ref: Ref) -> str:
    """Return the one run whose name begins as *ref* says; what it says if that is one, or none."""
    from runstore.runs import runs_beginning

    assert ref.run is not None
    recorded = runs_beginning(store.backend, ref.namespace, ref.run)
    if ref.run in recorded:
        return ref.run
    others = store.runs_with_objects(ref.namespace)  # also without a record
    found = {name for name in others if name.startswith(ref.run)}.difference(recorded)
    names = sorted({*recorded, *(one for one in found if has_files(store, ref.namespace, one))})
    if ref.run in names or not names:
        return ref.run
    if len(names) > 1:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise InvalidRequestError(
            f"{str(ref)!r}: {len(names)} runs have names that begin so: {shown}; write more of it",
            str(ref),
        )
    return names[0]


def has_files(store: "ObjectStore", namespace: str, run: str | None) -> bool:
    """Return whether anything is in the folder of a run, or shared, by a request or two."""
    there = list_with_parts(store.backend, scope_folder(namespace, run))
    return next(iter(there), None) is not None


def check_not_empty(store: "ObjectStore", ref: Ref) -> None:
    """Raise ObjectNotFoundError if a run has neither objects nor a record, or if nothing is shared.

    For messages about what is stored there: of a mistyped run they would tell the wrong way out.
    """
    from runstore.runs import runs_beginning

    assert ref.run is not None
    if has_files(store, ref.namespace, ref.only_run):
        return
    if ref.run == SHARED or ref.run not in runs_beginning(store.backend, ref.namespace, ref.run):
        raise nothing_in(store, ref)


def nothing_in(store: "ObjectStore", ref: Ref) -> ObjectNotFoundError:
    """Return the error that nothing is stored there; shown, it has the names that may be meant."""
    error = ObjectNotFoundError(f"nothing is stored in {ref} ({store.address.url})", str(ref))
    if ref.run is not None and ref.run != SHARED:
        error.look = partial(_near, store, ref.namespace, ref.run)
    return error


def _near(store: "ObjectStore", namespace: str, run: str) -> str:
    """Return which run may be meant, with a record or without, as the end of a message."""
    from runstore.runs import no_namespace, runs_beginning

    try:
        begin = runs_beginning(store.backend, namespace, run[: max(1, len(run) // 2)])
        names = sorted({*begin, *store.runs_with_objects(namespace)})
    except RunStoreError:  # the message says enough without
        return ""
    if run in names:
        return ""
    close = get_close_matches(run, names, n=3)
    if close:
        return f"; did you mean {' or '.join(f'{namespace}/{one}' for one in close)}?"
    if names:
        return f"; `runstore ls {in_shell(namespace)}` lists the runs of the namespace"
    return no_namespace(store.backend, namespace)


def object_place(store: "ObjectStore", text: str, *, complete: bool = False) -> Place:
    """Return the place of the one object that *text* names, which may not exist.

    Raises:
        InvalidNameError: It is no reference, or its namespace or run cannot be one.
        InvalidRequestError: It names a run or a namespace.
        ObjectNotFoundError: It says ``_latest`` and there is no run.
    """
    ref = parse_ref(text)
    if ref.run is None or not ref.name:
        raise InvalidRequestError(
            f"{text!r} names a {'namespace' if ref.run is None else 'run'}, not an object: write "
            f"NAMESPACE/RUN/NAME, or NAMESPACE/{SHARED}/NAME for what its runs share; "
            "`runstore ls` lists them",
            text,
        )
    ref = resolved(store, ref, complete=complete)
    return ref.place(ref.name)
